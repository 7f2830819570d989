package main

//	main -> program.execute -> cobra (one command a file) -> settings.Load (flags, environment, files) -> the command
//	                       `-> an exit code scripts can use (exit.go)

import (
	"context"
	"io"
	"os"
	"strconv"
	"time"

	"github.com/spf13/cobra"
	"golang.org/x/term"

	"github.com/fieldlog/fieldlog/internal/run"
	"github.com/fieldlog/fieldlog/internal/settings"
)

// program is what the commands share: the process they run in.
type program struct {
	name           string // as it was called
	stdin          io.Reader
	stdout, stderr io.Writer
	environment    []string
	lookup         func(string) (string, bool)
	exit           func(int)
	columns        int           // of the terminal that stdout is; 0 when it is none
	checkTime      time.Duration // bounds each of doctor's checks of what runs

	logging loggingFlags
	begun   bool // the command line was understood
}

func newProgram() *program {
	p := &program{
		name: os.Args[0], stdin: os.Stdin, stdout: os.Stdout, stderr: os.Stderr,
		environment: os.Environ(), lookup: os.LookupEnv, exit: os.Exit,
		checkTime: 3 * time.Second,
	}
	p.columns = terminalColumns(os.Stdout)
	return p
}

// terminalColumns returns the width of the terminal f is, 0 when it is none.
func terminalColumns(f *os.File) int {
	if !term.IsTerminal(int(f.Fd())) || os.Getenv("TERM") == "dumb" {
		return 0
	}
	if columns, err := strconv.Atoi(os.Getenv("COLUMNS")); err == nil && columns > 0 {
		return columns
	}
	columns, _, err := term.GetSize(int(f.Fd()))
	if err != nil || columns <= 0 {
		return 80
	}
	return columns
}

// execute runs one command line and returns the exit code.
func (p *program) execute(args []string) int {
	ctx, stop := run.Signals(context.Background(), p.exit)
	defer stop()
	root := p.root()
	root.SetArgs(args)
	err := root.ExecuteContext(ctx)
	return p.explain(ctx, err)
}

func (p *program) root() *cobra.Command {
	root := &cobra.Command{
		Use:   "fieldlog",
		Short: "An event-sourced log for devices: HTTP in, Kafka topics, ClickHouse tables out",
		Long: `Fieldlog appends what devices report to partitioned Kafka topics as schema-registered events, and derives
everything else from them: tables in ClickHouse, exactly once. "fieldlog up" runs all of it on this machine.

` + exitCodes,
		SilenceErrors: true, SilenceUsage: true,
		PersistentPreRunE: func(cmd *cobra.Command, _ []string) error {
			if err := settings.Load(cmd.Flags(), p.lookup); err != nil {
				return err
			}
			p.begun = true
			return nil
		},
	}
	root.SetIn(p.stdin)
	root.SetOut(p.stdout)
	root.SetErr(p.stderr)
	root.SetHelpFunc(p.help)
	p.logging.bind(root.PersistentFlags())
	root.AddCommand(
		p.upCommand(), p.gatewayCommand(), p.analyticsCommand(), p.registrarCommand(), p.provisionerCommand(), p.portalCommand(),
		p.simulateCommand(),
		p.tailCommand(), p.queryCommand(), p.appendCommand(),
		p.ordersCommand(), p.topicsCommand(), p.schemasCommand(), p.deadLettersCommand(), p.traceCommand(), p.auditCommand(),
		p.replayCommand(), p.doctorCommand(),
		p.engineCommand(), p.versionCommand(),
	)
	return root
}
