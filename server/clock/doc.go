// Package clock owns the passage of time: what hour it is, timers, tickers and
// interruptible sleep, in a real form and in a form that a test moves by hand.
//
// It is the only package that may call time.Now, time.NewTimer and their kin.
// It must not know what anybody waits for.
package clock
