//go:build !race

package imapd_test

const raceEnabled = false
