package main

//	package schemas (what this program writes) beside the registry (what is registered) -> list, show, check, catalogue

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strconv"

	"github.com/spf13/cobra"

	"github.com/fieldlog/fieldlog/schemas"
)

func (p *program) schemasCommand() *cobra.Command {
	var flags logFlags
	var asJSON bool
	cmd := &cobra.Command{
		Use:   "schemas",
		Short: "List, show and check the schemas of events",
		Long: `Lists the subjects in the registry with their versions and ids, beside the versions this program has.
"schemas show" prints one, "schemas check" tells whether the registry's are compatible with ours, "schemas catalogue"
writes the event catalogue.`,
		Example: "  fieldlog schemas\n  fieldlog schemas show telemetry.reported | jq .fields\n  fieldlog schemas check",
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return p.listSchemas(cmd.Context(), &flags, asJSON)
		},
	}
	flags.bind(cmd.PersistentFlags(), defaultBrokers, defaultRegistry)
	cmd.Flags().BoolVar(&asJSON, "json", false, "print JSON lines")
	cmd.AddCommand(p.showSchemaCommand(&flags), p.checkSchemasCommand(&flags), p.catalogueCommand(), p.lifecycleCommand())
	return cmd
}

// subjectLine is a subject as it is listed.
type subjectLine struct {
	Subject  string       `json:"subject"`
	Fact     string       `json:"fact,omitempty"`
	Ours     int          `json:"our_versions"`
	Versions []registered `json:"registered"`
}

func (p *program) listSchemas(ctx context.Context, flags *logFlags, asJSON bool) error {
	cfg, err := flags.config()
	if err != nil {
		return err
	}
	lines, err := subjectLines(ctx, newRegistry(cfg))
	if err != nil {
		return err
	}
	if asJSON {
		out := json.NewEncoder(p.stdout)
		for _, l := range lines {
			if err := out.Encode(l); err != nil {
				return err
			}
		}
		return nil
	}
	t := table{header: []string{"subject", "fact", "ours", "registered as version (id)"}, right: []bool{2: true, 3: false}}
	for _, l := range lines {
		var text []byte
		for _, v := range l.Versions {
			text = fmt.Appendf(text, "%d (%d) ", v.Version, v.ID)
		}
		t.rows = append(t.rows, []string{l.Subject, l.Fact, strconv.Itoa(l.Ours), string(bytes.TrimSpace(text))})
	}
	_, err = p.stdout.Write(t.text(p.columns))
	return err
}

// subjectLines joins our kinds with what the registry has.
func subjectLines(ctx context.Context, r *registry) ([]subjectLine, error) {
	subjects, err := r.subjects(ctx)
	if err != nil {
		return nil, err
	}
	var lines []subjectLine
	for _, kind := range schemas.Kinds() {
		ours, err := kind.Versions()
		if err != nil {
			return nil, err
		}
		lines = append(lines, subjectLine{Subject: string(kind.Subject), Fact: kind.Fact, Ours: len(ours)})
	}
	slices.Sort(subjects)
	for _, s := range subjects {
		if !slices.ContainsFunc(lines, func(l subjectLine) bool { return l.Subject == s }) {
			lines = append(lines, subjectLine{Subject: s})
		}
	}
	for i := range lines {
		numbers, err := r.versions(ctx, lines[i].Subject)
		if err != nil {
			return nil, err
		}
		for _, number := range numbers {
			v, err := r.version(ctx, lines[i].Subject, strconv.Itoa(number))
			if err != nil {
				return nil, fmt.Errorf("read %q version %d: %w", lines[i].Subject, number, err)
			}
			lines[i].Versions = append(lines[i].Versions, v)
		}
	}
	return lines, nil
}

func (p *program) showSchemaCommand(flags *logFlags) *cobra.Command {
	number := 0
	cmd := &cobra.Command{
		Use:   "show SUBJECT",
		Short: "Print a schema: one of ours by fact or subject, else from the registry",
		Args:  cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			text, err := schemaText(cmd.Context(), flags, args[0], number)
			if err != nil {
				return err
			}
			var pretty bytes.Buffer
			if err := json.Indent(&pretty, []byte(text), "", "  "); err != nil {
				return fmt.Errorf("show schema of %q: %w", args[0], err)
			}
			_, err = fmt.Fprintln(p.stdout, pretty.String())
			return err
		},
		ValidArgsFunction: cobra.FixedCompletions(kindNames(), cobra.ShellCompDirectiveNoFileComp),
	}
	cmd.Flags().IntVar(&number, "version", 0, "which version (default the newest)")
	return cmd
}

func schemaText(ctx context.Context, flags *logFlags, name string, number int) (string, error) {
	kind, err := kindOf(name)
	if err != nil {
		return registeredText(ctx, flags, name, number)
	}
	versions, err := kind.Versions()
	if err != nil {
		return "", err
	}
	if number == 0 {
		number = len(versions)
	}
	for _, v := range versions {
		if v.Number == number {
			return v.Text, nil
		}
	}
	return "", fmt.Errorf("%q has no version %d", name, number)
}

func registeredText(ctx context.Context, flags *logFlags, subject string, number int) (string, error) {
	cfg, err := flags.config()
	if err != nil {
		return "", err
	}
	version := "latest"
	if number > 0 {
		version = strconv.Itoa(number)
	}
	v, err := newRegistry(cfg).version(ctx, subject, version)
	if errors.Is(err, errNotRegistered) {
		return "", fmt.Errorf("neither this program nor the registry knows %q version %s", subject, version)
	}
	return v.Schema, err
}

func (p *program) checkSchemasCommand(flags *logFlags) *cobra.Command {
	return &cobra.Command{
		Use:   "check",
		Short: "Tell whether our newest schemas are compatible with every registered version",
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			cfg, err := flags.config()
			if err != nil {
				return err
			}
			return p.checkSchemas(cmd.Context(), newRegistry(cfg))
		},
	}
}

func (p *program) checkSchemas(ctx context.Context, r *registry) error {
	var failed error
	for _, kind := range schemas.Kinds() {
		verdicts, err := incompatible(ctx, r, kind)
		if err != nil {
			return err
		}
		for _, verdict := range verdicts {
			fmt.Fprintf(p.stdout, "✗ %s: %s\n", kind.Subject, verdict)
			failed = errSilent
		}
		if len(verdicts) == 0 {
			fmt.Fprintf(p.stdout, "✓ %s\n", kind.Subject)
		}
	}
	return failed
}

// incompatible returns what speaks against a kind's newest schema, version by version.
func incompatible(ctx context.Context, r *registry, kind schemas.Kind) (against []string, err error) {
	ours, err := kind.Versions()
	if err != nil {
		return nil, err
	}
	numbers, err := r.versions(ctx, string(kind.Subject))
	if err != nil {
		return nil, err
	}
	for _, number := range numbers {
		ok, why, err := r.compatible(ctx, string(kind.Subject), number, ours[len(ours)-1].Text)
		if err != nil {
			return nil, fmt.Errorf("check %q against version %d: %w", kind.Subject, number, err)
		}
		if !ok {
			against = append(against, fmt.Sprintf("not compatible with registered version %d: %s", number, why))
		}
	}
	return against, nil
}
