//go:build race

package imapd_test

const raceEnabled = true
