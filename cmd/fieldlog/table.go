package main

//	rows of text -> a box of lines as wide as the terminal allows

import (
	"bytes"
	"strings"
	"unicode"
	"unicode/utf8"
)

// table is what is printed as a box.
type table struct {
	header []string
	right  []bool // which columns are numbers; missing ones are not
	rows   [][]string
}

// least is how narrow a column may become.
const least = 8

// text draws the table. Columns is the width of the terminal; 0 means any. Cells that do not fit end in "…".
func (t *table) text(columns int) []byte {
	widths := t.widths(columns)
	var b bytes.Buffer
	t.rule(&b, widths, "┌", "┬", "┐")
	t.row(&b, widths, t.header, nil)
	t.rule(&b, widths, "├", "┼", "┤")
	for _, row := range t.rows {
		t.row(&b, widths, row, t.right)
	}
	t.rule(&b, widths, "└", "┴", "┘")
	return b.Bytes()
}

// widths gives each column what it needs, and takes from the widest until all fit.
func (t *table) widths(columns int) []int {
	widths := make([]int, len(t.header))
	total := 1
	for i, name := range t.header {
		widths[i] = width(name)
		for _, row := range t.rows {
			widths[i] = max(widths[i], width(row[i]))
		}
		total += widths[i] + 3
	}
	for columns > 0 && total > columns {
		widest := 0
		for i := range widths {
			if widths[i] > widths[widest] {
				widest = i
			}
		}
		if widths[widest] <= least {
			break
		}
		widths[widest]--
		total--
	}
	return widths
}

func (t *table) rule(b *bytes.Buffer, widths []int, left, middle, right string) {
	for i, w := range widths {
		b.WriteString(left)
		b.WriteString(strings.Repeat("─", w+2))
		left = middle
		if i == len(widths)-1 {
			b.WriteString(right)
		}
	}
	b.WriteByte('\n')
}

func (t *table) row(b *bytes.Buffer, widths []int, cells []string, right []bool) {
	for i, w := range widths {
		cell := fit(cells[i], w)
		padding := strings.Repeat(" ", w-width(cell))
		if i < len(right) && right[i] {
			cell = padding + cell
		} else {
			cell += padding
		}
		b.WriteString("│ " + cell + " ")
	}
	b.WriteString("│\n")
}

// fit makes a cell printable, and cuts it to a width.
func fit(cell string, columns int) string {
	cell = strings.Map(func(r rune) rune {
		if r == utf8.RuneError || unicode.IsControl(r) {
			return '·'
		}
		return r
	}, cell)
	if width(cell) <= columns {
		return cell
	}
	runes := []rune(cell)
	return string(runes[:max(columns-1, 0)]) + "…"
}

// width counts runes; one that takes two columns or none is rare in what devices are called.
func width(s string) int { return utf8.RuneCountInString(s) }
