// Package settings reads a program's settings: command-line flags first, the environment where a flag was not given.
//
// Promises:
//
//   - Every flag --some-name has the variable FIELDLOG_SOME_NAME. A flag on the command line wins over the variable, and an
//     empty variable counts as not set.
//   - A secret ([Secret]) can also come from a file: --name-file, FIELDLOG_NAME_FILE. The file's trailing line break is
//     cut. Two sources of one secret at the same level are an error.
//   - A secret is never printed: not as a default, not in an error, not in the reference.
//   - [Reference] lists every flag with its default and its variable.
//
// Use: define flags on a pflag.FlagSet, parse it, then call [Load] once before the values are read.
package settings

import (
	"fmt"
	"os"
	"strings"

	"github.com/spf13/pflag"
)

// Prefix starts the name of every variable.
const Prefix = "FIELDLOG_"

// Variable returns the name of the environment variable that stands in for a flag.
func Variable(flag string) string {
	return Prefix + strings.ToUpper(strings.ReplaceAll(flag, "-", "_"))
}

// Load completes a parsed flag set from the environment, then reads the files that secrets name. Lookup is os.LookupEnv, or
// stands in for it. The error names the flag or the variable to change.
func Load(flags *pflag.FlagSet, lookup func(string) (string, bool)) error {
	given := map[string]bool{}
	flags.Visit(func(f *pflag.Flag) { given[f.Name] = true })
	var failed error
	flags.VisitAll(func(f *pflag.Flag) {
		if failed == nil && !shadowed(f, given) {
			failed = fromEnvironment(flags, f, lookup)
		}
	})
	if failed != nil {
		return failed
	}
	return readSecrets(flags)
}

// shadowed tells whether the command line already gave f, in either form if it is a secret.
func shadowed(f *pflag.Flag, given map[string]bool) bool {
	if given[f.Name] || f.Name == "help" {
		return true
	}
	if plain, isFile := strings.CutSuffix(f.Name, fileSuffix); isFile && given[plain] {
		return isSecretFile(f)
	}
	return isSecret(f) && given[f.Name+fileSuffix]
}

func fromEnvironment(flags *pflag.FlagSet, f *pflag.Flag, lookup func(string) (string, bool)) error {
	value, found := lookup(Variable(f.Name))
	if !found || value == "" {
		return nil
	}
	if err := flags.Set(f.Name, value); err != nil {
		return fmt.Errorf("read %s: %w", Variable(f.Name), err)
	}
	return nil
}

// Unknown returns the variables of an environment ("NAME=value" entries) that begin with Prefix and belong to no flag of any
// of the sets: most likely spelling mistakes.
func Unknown(environment []string, sets ...*pflag.FlagSet) []string {
	known := map[string]bool{}
	for _, flags := range sets {
		flags.VisitAll(func(f *pflag.Flag) { known[Variable(f.Name)] = true })
	}
	var unknown []string
	for _, entry := range environment {
		name, _, _ := strings.Cut(entry, "=")
		if strings.HasPrefix(name, Prefix) && !known[name] {
			unknown = append(unknown, name)
		}
	}
	return unknown
}

// Reference describes every visible flag: its default, its variable, what it does. Columns is the width to wrap at, 0 not to.
func Reference(flags *pflag.FlagSet, columns int) string {
	shown := pflag.NewFlagSet("", pflag.ContinueOnError)
	shown.SortFlags = flags.SortFlags
	flags.VisitAll(func(f *pflag.Flag) {
		described := *f
		if f.Name != "help" {
			described.Usage += " [" + Variable(f.Name) + "]"
		}
		shown.AddFlag(&described)
	})
	return shown.FlagUsagesWrapped(columns)
}

// readFile returns a file's content without its trailing line break.
func readFile(path string) (string, error) {
	data, err := os.ReadFile(path)
	if err != nil {
		return "", err
	}
	return strings.TrimRight(string(data), "\r\n"), nil
}
