// Package test holds the black-box tests: they run the built binary as a user does and look only at what it prints, answers
// and stores. FIELDLOG_TEST_BINARY names the binary; `make test` builds it and sets it.
package test
