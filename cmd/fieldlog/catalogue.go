package main

//	package schemas -> docs/events.md
//	projections/clients -> docs/order-lifecycle.md

import (
	"encoding/json"
	"fmt"
	"io"
	"strings"

	"github.com/spf13/cobra"

	"github.com/fieldlog/fieldlog/projections/clients"
	"github.com/fieldlog/fieldlog/schemas"
)

func (p *program) catalogueCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "catalogue",
		Short: "Print the event catalogue (Markdown), generated from the schemas",
		Args:  cobra.NoArgs,
		RunE:  func(*cobra.Command, []string) error { return writeCatalogue(p.stdout) },
	}
}

func (p *program) lifecycleCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "lifecycle",
		Short: "Print the life of an order (Markdown, a state diagram), generated from the code",
		Args:  cobra.NoArgs,
		RunE:  func(*cobra.Command, []string) error { return clients.WriteLifecycle(p.stdout) },
	}
}

// avroRecord is what the catalogue needs of an Avro schema.
type avroRecord struct {
	Name   string      `json:"name"`
	Doc    string      `json:"doc"`
	Fields []avroField `json:"fields"`
}

type avroField struct {
	Name    string          `json:"name"`
	Type    json.RawMessage `json:"type"`
	Default json.RawMessage `json:"default"`
	Doc     string          `json:"doc"`
}

func writeCatalogue(w io.Writer) error {
	fmt.Fprint(w, "# Event catalogue\n\nGenerated from `schemas/avro` by `fieldlog schemas catalogue`; `make verify` checks it. Every value on a topic is in the\n"+
		"Confluent wire format; every record carries CloudEvents headers (`ce_id`, `ce_type`, `ce_source`, `ce_time`).\n")
	for _, kind := range schemas.Kinds() {
		versions, err := kind.Versions()
		if err != nil {
			return err
		}
		newest := versions[len(versions)-1]
		var record avroRecord
		if err := json.Unmarshal([]byte(newest.Text), &record); err != nil {
			return fmt.Errorf("read schema of %q: %w", kind.Fact, err)
		}
		fmt.Fprintf(w, "\n## %s\n\n%s\n\n- subject: `%s`, version %d\n- topic: `fieldlog.%s`\n", kind.Fact, record.Doc, kind.Subject, newest.Number, kind.Topic)
		if err := writeFields(w, record); err != nil {
			return fmt.Errorf("describe %q: %w", kind.Fact, err)
		}
	}
	return nil
}

// writeFields writes a record's fields, then the records within it.
func writeFields(w io.Writer, record avroRecord) error {
	fmt.Fprint(w, "\n| field | type | default | what it is |\n| --- | --- | --- | --- |\n")
	var within []avroRecord
	for _, f := range record.Fields {
		name, err := typeName(f.Type, &within)
		if err != nil {
			return fmt.Errorf("field %q: %w", f.Name, err)
		}
		value := ""
		if f.Default != nil {
			value = "`" + string(f.Default) + "`"
		}
		fmt.Fprintf(w, "| `%s` | %s | %s | %s |\n", f.Name, name, value, f.Doc)
	}
	for _, inner := range within {
		fmt.Fprintf(w, "\n### %s\n\n%s\n", inner.Name, inner.Doc)
		if err := writeFields(w, inner); err != nil {
			return err
		}
	}
	return nil
}

// typeName says an Avro type in words and collects the records it holds.
func typeName(text json.RawMessage, within *[]avroRecord) (string, error) {
	var plain string
	if json.Unmarshal(text, &plain) == nil {
		return plain, nil
	}
	var union []json.RawMessage
	if json.Unmarshal(text, &union) == nil {
		names := make([]string, len(union))
		for i, branch := range union {
			name, err := typeName(branch, within)
			if err != nil {
				return "", err
			}
			names[i] = name
		}
		return strings.Join(names, " or "), nil
	}
	var composite struct {
		Type, LogicalType string
		Items, Values     json.RawMessage
		avroRecord
	}
	if err := json.Unmarshal(text, &composite); err != nil {
		return "", err
	}
	switch composite.Type {
	case "array":
		name, err := typeName(composite.Items, within)
		return "array of " + name, err
	case "map":
		name, err := typeName(composite.Values, within)
		return "map of " + name, err
	case "record":
		*within = append(*within, composite.avroRecord)
		return composite.Name, nil
	}
	if composite.LogicalType != "" {
		return composite.Type + " (" + composite.LogicalType + ")", nil
	}
	return composite.Type, nil
}
