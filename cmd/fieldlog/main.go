// Command fieldlog is Fieldlog: every service, the embedded engines and the tools, in one binary.
package main

import "os"

func main() {
	os.Exit(newProgram().execute(os.Args[1:]))
}
