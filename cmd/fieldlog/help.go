package main

//	cobra's command -> its long text, usage, examples, commands, and every flag with default and variable

import (
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"github.com/fieldlog/fieldlog/internal/settings"
)

// help prints the full reference of a command.
func (p *program) help(cmd *cobra.Command, _ []string) {
	w := cmd.OutOrStdout()
	text := cmd.Long
	if text == "" {
		text = cmd.Short + "."
	}
	fmt.Fprintf(w, "%s\n\nUsage:\n", strings.TrimSpace(text))
	if cmd.Runnable() {
		fmt.Fprintf(w, "  %s\n", cmd.UseLine())
	}
	if cmd.HasAvailableSubCommands() {
		fmt.Fprintf(w, "  %s COMMAND\n\nCommands:\n", cmd.CommandPath())
		for _, sub := range cmd.Commands() {
			if sub.IsAvailableCommand() || sub.Name() == "help" {
				fmt.Fprintf(w, "  %-12s %s\n", sub.Name(), sub.Short)
			}
		}
	}
	if cmd.HasExample() {
		fmt.Fprintf(w, "\nExamples:\n%s\n", strings.TrimRight(cmd.Example, "\n"))
	}
	columns := min(p.columns, 120)
	if flags := cmd.LocalNonPersistentFlags(); flags.HasAvailableFlags() {
		fmt.Fprintf(w, "\nFlags, each with its environment variable:\n%s", settings.Reference(flags, columns))
	}
	cmd.InheritedFlags() // merges the parents' flags
	if flags := cmd.PersistentFlags(); flags.HasAvailableFlags() {
		fmt.Fprintf(w, "\nFlags of every command below:\n%s", settings.Reference(flags, columns))
	}
	if flags := cmd.InheritedFlags(); flags.HasAvailableFlags() {
		fmt.Fprintf(w, "\nFlags of every command:\n%s", settings.Reference(flags, columns))
	}
}
