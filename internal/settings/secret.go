package settings

import (
	"fmt"
	"strings"

	"github.com/spf13/pflag"
)

const fileSuffix = "-file"

// Secret defines the flags --name and --name-file. Target holds the secret after Load.
func Secret(flags *pflag.FlagSet, target *string, name, usage string) {
	flags.Var(&secret{target}, name, usage)
	flags.Var(&secretFile{}, name+fileSuffix, "file that holds --"+name)
}

type secret struct{ target *string }

// Set implements pflag.Value. It takes everything, because pflag would print what it refuses.
func (s *secret) Set(value string) error { *s.target = value; return nil }

// String implements pflag.Value. It never tells.
func (s *secret) String() string { return "" }

// Type implements pflag.Value.
func (s *secret) Type() string { return "secret" }

type secretFile struct{ path string }

// Set implements pflag.Value.
func (s *secretFile) Set(path string) error { s.path = path; return nil }

// String implements pflag.Value.
func (s *secretFile) String() string { return s.path }

// Type implements pflag.Value.
func (s *secretFile) Type() string { return "file" }

func isSecret(f *pflag.Flag) bool     { _, ok := f.Value.(*secret); return ok }
func isSecretFile(f *pflag.Flag) bool { _, ok := f.Value.(*secretFile); return ok }

// readSecrets reads the file of every secret that names one.
func readSecrets(flags *pflag.FlagSet) error {
	var failed error
	flags.VisitAll(func(f *pflag.Flag) {
		if failed == nil && isSecret(f) {
			failed = readSecret(flags, f)
		}
	})
	return failed
}

func readSecret(flags *pflag.FlagSet, f *pflag.Flag) error {
	target, file := f.Value.(*secret).target, flags.Lookup(f.Name+fileSuffix)
	path := file.Value.String()
	if f.Changed && path != "" {
		return fmt.Errorf("both --%s and --%s are set (or %s and %s): give one", f.Name, file.Name, Variable(f.Name), Variable(file.Name))
	}
	if path != "" {
		content, err := readFile(path)
		if err != nil {
			return fmt.Errorf("read --%s: %w", file.Name, err)
		}
		*target = content
	}
	if strings.ContainsAny(*target, "\r\n") {
		return fmt.Errorf("read --%s: a secret has no line break", f.Name)
	}
	return nil
}
