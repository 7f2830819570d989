package main

//	SQL (argument, file or stdin) -> ClickHouse over HTTP -> a table on a terminal, JSON lines in a pipe

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"regexp"
	"strings"

	"github.com/spf13/cobra"
	"golang.org/x/term"

	"github.com/fieldlog/fieldlog/services/analytics"
)

type queryFlags struct {
	clickhouse clickhouseFlags
	file       string
	format     string
}

func (p *program) queryCommand() *cobra.Command {
	var f queryFlags
	cmd := &cobra.Command{
		Use:   "query [SQL]",
		Short: "Ask ClickHouse",
		Long: `Sends one SQL statement, given as argument, with --file, or on stdin, to ClickHouse and prints the answer: a table on a
terminal, JSON lines in a pipe. A FORMAT in the statement wins.

The views: ` + strings.Join(analytics.Views(), ", ") + ".",
		Example: `  fieldlog query 'SELECT client, count() FROM readings GROUP BY client ORDER BY client'
  fieldlog query 'SELECT * FROM devices LIMIT 5' | jq .
  fieldlog query --format CSVWithNames 'SELECT * FROM readings_1h' > trend.csv`,
		Args: cobra.MaximumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			return p.query(cmd.Context(), args, f)
		},
	}
	f.clickhouse.bind(cmd.Flags(), defaultClickHouse)
	cmd.Flags().StringVar(&f.file, "file", "", "file that holds the statement; - is stdin")
	cmd.Flags().StringVar(&f.format, "format", "", "table, or any output format of ClickHouse (default table on a terminal, JSONEachRow in a pipe)")
	return cmd
}

// The formats of answers.
const (
	formatTable = "table"
	formatJSON  = "JSONEachRow"
	formatCells = "JSONCompactStringsEachRowWithNamesAndTypes" // what a table is made of
)

func (p *program) query(ctx context.Context, args []string, f queryFlags) error {
	sql, err := p.sql(args, f.file)
	if err != nil {
		return err
	}
	if _, err := f.clickhouse.config(); err != nil {
		return err
	}
	format := f.format
	switch {
	case format == "" && p.columns > 0:
		format = formatTable
	case format == "":
		format = formatJSON
	}
	if !strings.EqualFold(format, formatTable) {
		return p.queryRaw(ctx, sql, format, f)
	}
	res, err := f.clickhouse.statement(ctx, sql, formatCells, "wait_end_of_query", "1")
	if err != nil {
		return err
	}
	defer func() { _ = res.Body.Close() }() // it was read; nothing can be lost
	if namesFormat.MatchString(sql) || res.Header.Get(rawFormat) != "" && res.Header.Get(rawFormat) != formatCells {
		return p.copyAnswer(ctx, res)
	}
	return p.printTable(ctx, res.Body)
}

// namesFormat matches a statement that ends in a FORMAT of its own.
var namesFormat = regexp.MustCompile(`(?i)\sFORMAT\s+\w+\s*;?\s*$`)

// sql returns the statement, from exactly one of its sources.
func (p *program) sql(args []string, file string) (string, error) {
	var data []byte
	var err error
	switch {
	case len(args) == 1 && file != "":
		return "", usagef("give the statement as argument or with --file, not both")
	case len(args) == 1:
		data = []byte(args[0])
	case file != "" && file != "-":
		if data, err = os.ReadFile(file); err != nil {
			return "", usagef("read --file: %w", err)
		}
	default:
		if in, isFile := p.stdin.(*os.File); isFile && file == "" && term.IsTerminal(int(in.Fd())) {
			return "", usagef(`there is no statement: give it as argument, like fieldlog query 'SELECT 1'`)
		}
		if data, err = io.ReadAll(p.stdin); err != nil {
			return "", fmt.Errorf("read the statement from stdin: %w", err)
		}
	}
	if strings.TrimSpace(string(data)) == "" {
		return "", usagef("the statement is empty")
	}
	return string(data), nil
}

func (p *program) queryRaw(ctx context.Context, sql, format string, f queryFlags) error {
	res, err := f.clickhouse.statement(ctx, sql, format)
	if err != nil {
		return err
	}
	defer func() { _ = res.Body.Close() }() // it was read; nothing can be lost
	return p.copyAnswer(ctx, res)
}

func (p *program) copyAnswer(ctx context.Context, res *http.Response) error {
	_, err := io.Copy(p.stdout, res.Body)
	return answerError(ctx, err)
}

func answerError(ctx context.Context, err error) error {
	switch {
	case ctx.Err() != nil:
		return errInterrupted
	case err != nil:
		return fmt.Errorf("read ClickHouse's answer: %w", err)
	}
	return nil
}

// maxRows bounds what a table shows: it is for reading.
const maxRows = 1000

// printTable draws an answer in formatCells: a line of names, a line of types, then rows.
func (p *program) printTable(ctx context.Context, in io.Reader) error {
	lines := json.NewDecoder(bufio.NewReader(in))
	var t table
	var types []string
	rows := 0
	for _, target := range []*[]string{&t.header, &types} {
		if err := lines.Decode(target); err == io.EOF {
			return nil // a statement without an answer
		} else if err != nil {
			return answerError(ctx, err)
		}
	}
	for _, name := range types {
		t.right = append(t.right, isNumber.MatchString(name))
	}
	for ; lines.More(); rows++ {
		var cells []*string
		if err := lines.Decode(&cells); err != nil {
			return answerError(ctx, err)
		}
		if rows < maxRows {
			t.rows = append(t.rows, present(cells))
		}
	}
	if _, err := p.stdout.Write(t.text(p.columns)); err != nil {
		return err
	}
	_, err := fmt.Fprintln(p.stdout, summary(rows))
	return err
}

func summary(rows int) string {
	switch {
	case rows == 1:
		return "1 row"
	case rows > maxRows:
		return fmt.Sprintf("the first %d of %d rows; --format JSONEachRow prints them all", maxRows, rows)
	}
	return fmt.Sprintf("%d rows", rows)
}

var isNumber = regexp.MustCompile(`^(Nullable\()?(U?Int|Float|Decimal|BFloat)`)

func present(cells []*string) []string {
	row := make([]string, len(cells))
	for i, cell := range cells {
		if row[i] = "NULL"; cell != nil {
			row[i] = *cell
		}
	}
	return row
}
