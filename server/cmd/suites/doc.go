// Command suites runs the test suites of the repository in order and closes with a table.
//
//	suites run [-only name,name]   run the suites; exit 1 when something failed
//	suites list                    print the names of the suites
//	suites fuzz [-time 20s]        fuzz every Fuzz target for that long
//
// It is what `make test` runs, from the root of the repository and after the Makefile's set-up. It starts every suite, whatever
// the ones before it did; keeps what each printed in .run/test/<suite>.log; shows the end of that for each failure; counts
// a test that was skipped without a reason as failed; and prints as its last line "N passed, N failed, N skipped".
// It knows nothing about mail and imports nothing of the server.
package main
