// Package archtest holds the map of the tree as a table and a test that the code keeps to it.
//
// Every Go package of the module stands on a tier. It may import any lower tier, and its own tier only along the arrows of the
// table. Some imports are forbidden whatever the tiers say ([Rules.Never], [Rules.Only]), and some third-party libraries are
// fenced into the packages that exist to talk to them ([Rules.Fences]). A package that the table does not name fails: give it
// a place first, then write it.
//
// Not looked at: _test.go files (a test may reach for whatever proves its point) and build tags (a file behind a tag is
// checked like any other). Directories that are modules of their own, testdata and hidden directories are skipped.
package archtest
