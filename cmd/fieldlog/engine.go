package main

//	engine install -> npm package, verified -> user's cache
//	engine serve   (child of "fieldlog up") -> libchdb -> ClickHouse's HTTP protocol

import (
	"context"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/fieldlog/fieldlog/internal/embedded/engine"
	"github.com/fieldlog/fieldlog/internal/embedded/engine/library"
	"github.com/fieldlog/fieldlog/internal/obs"
)

func engineVersion() string { return library.Version }

func (p *program) engineCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "engine",
		Short: "Bring or find the embedded ClickHouse engine's library",
		Long: `"engine install" brings the pinned version of the ClickHouse engine library into the user's cache with npm and verifies it;
"engine path" prints where it is. ` + library.EnvOverride + ` names a library of your own instead.`,
		Args: cobra.NoArgs,
		RunE: func(*cobra.Command, []string) error { return usagef("say engine install or engine path") },
	}
	cmd.AddCommand(p.engineInstallCommand(), p.enginePathCommand(), p.engineServeCommand())
	return cmd
}

func (p *program) engineInstallCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "install",
		Short: "Bring the library into the user's cache, if it is not there",
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			logger, err := p.newLogger(p.stderr, "warn", obs.Text)
			if err != nil {
				return err
			}
			bar := &progressBar{out: p.stderr, terminal: terminalColumns(os.Stderr) > 0}
			path, err := library.Install(cmd.Context(), bar.show, logger)
			bar.end()
			if err != nil {
				return err
			}
			_, err = fmt.Fprintln(p.stdout, path)
			return err
		},
	}
}

func (p *program) enginePathCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "path",
		Short: "Print where the library is; fails when it is not there",
		Args:  cobra.NoArgs,
		RunE: func(*cobra.Command, []string) error {
			path, err := library.Path()
			if err != nil {
				return err
			}
			if !library.Installed() {
				return fmt.Errorf("the engine library is not at %q; run \"fieldlog engine install\"", path)
			}
			_, err = fmt.Fprintln(p.stdout, path)
			return err
		},
	}
}

func (p *program) engineServeCommand() *cobra.Command {
	var cfg engine.ServeConfig
	var dir string
	cmd := &cobra.Command{
		Use:    "serve",
		Short:  "Run the engine; \"fieldlog up\" does that",
		Hidden: true,
		Args:   cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			logger, err := p.newLogger(p.stdout, "info", obs.JSON)
			if err != nil {
				return err
			}
			if cfg.Library == "" {
				if cfg.Library, err = library.Path(); err != nil {
					return err
				}
			}
			cfg.Dir, cfg.Lifeline = dir, p.stdin
			// Signals are the parent's business: it closes the lifeline when the services have drained.
			return engine.Serve(context.WithoutCancel(cmd.Context()), cfg, logger.With("part", "engine"))
		},
	}
	cmd.Flags().StringVar(&dir, "data", filepath.Join("data", "clickhouse"), "folder of the tables")
	cmd.Flags().StringVar(&cfg.Addr, "listen", "127.0.0.1:8123", "address to listen on")
	cmd.Flags().StringVar(&cfg.Library, "library", "", "the engine library (default as engine path says)")
	return cmd
}

// progressBar shows how far a download is: redrawn in place on a terminal, else a line a step.
type progressBar struct {
	out      io.Writer
	terminal bool
	step     string
	drawn    time.Time
}

// show implements library.Progress.
func (b *progressBar) show(step string, done, total int64) {
	if step != b.step {
		b.end()
		b.step = step
		if !b.terminal {
			fmt.Fprintf(b.out, "%s the ClickHouse engine library, %d MB\n", step, total/1_000_000)
		}
	}
	if !b.terminal || done < total && time.Since(b.drawn) < 100*time.Millisecond {
		return
	}
	b.drawn = time.Now()
	const width = 40
	filled := 0
	if total > 0 {
		filled = int(min(done, total) * width / total)
	}
	fmt.Fprintf(b.out, "\r%-8s [%s%s] %4d of %d MB", step, strings.Repeat("█", filled), strings.Repeat("·", width-filled), done/1_000_000, total/1_000_000)
}

func (b *progressBar) end() {
	if b.terminal && b.step != "" {
		fmt.Fprintln(b.out)
	}
	b.step = ""
}
