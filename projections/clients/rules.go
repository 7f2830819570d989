package clients

import (
	"fmt"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/fieldlog/fieldlog/schemas"
)

// Products tells on which classes of hardware a product is sold, what provisions it as the catalogue has it, and whether there is
// such a product.
type Products func(product string) (hardware []string, backend string, known bool)

// Violation says what is wrong with an order.
type Violation struct {
	// Reason is what it is rejected with.
	Reason schemas.RejectionReason
	// Field is the name in JSON; Detail says what it should be.
	Field, Detail string
}

// Error implements error.
func (v *Violation) Error() string { return v.Field + ": " + v.Detail }

func invalid(field, format string, args ...any) *Violation {
	return &Violation{Reason: schemas.RejectedInvalid, Field: field, Detail: fmt.Sprintf(format, args...)}
}

// Normalise returns terms with the words spelled as the log spells them. Words it does not know stay as they are.
func Normalise(t schemas.Terms) schemas.Terms {
	short := map[string]string{"dev": "Development", "stage": "Stage", "prod": "Production"}
	if long, is := short[strings.ToLower(t.Environment)]; is {
		t.Environment = long
	}
	t.Environment = spelled(t.Environment, schemas.Environments())
	t.Archtype = spelled(t.Archtype, schemas.Archtypes())
	t.Hardware = spelled(t.Hardware, schemas.HardwareClasses())
	return t
}

func spelled(word string, list []string) string {
	for _, known := range list {
		if strings.EqualFold(word, known) {
			return known
		}
	}
	return word
}

// CheckOrder finds what is wrong with an order, whatever its client's state is. Terms must be normalised.
func CheckOrder(client, orderID string, t schemas.Terms, products Products) *Violation {
	if v := CheckNames(client, orderID); v != nil {
		return v
	}
	switch {
	case !isLabel(t.Namespace):
		return invalid("namespace", "want a DNS label: %s", labelRule)
	case !slices.Contains(schemas.Environments(), t.Environment):
		return invalid("environment", "want one of %s, or dev, stage, prod", strings.Join(schemas.Environments(), ", "))
	case !slices.Contains(schemas.Archtypes(), t.Archtype):
		return invalid("archtype", "want one of %s", strings.Join(schemas.Archtypes(), ", "))
	case !slices.Contains(schemas.HardwareClasses(), t.Hardware):
		return invalid("hardware", "want one of %s", strings.Join(schemas.HardwareClasses(), ", "))
	}
	hardware, _, known := products(t.Product)
	switch {
	case !known:
		return &Violation{schemas.RejectedUnknownProduct, "product", fmt.Sprintf("there is no product %q", cut(t.Product, maxWord))}
	case !slices.Contains(hardware, t.Hardware):
		return &Violation{schemas.RejectedHardware, "hardware", fmt.Sprintf("%s is sold on %s", t.Product, strings.Join(hardware, ", "))}
	}
	return checkParameters(t.Parameters)
}

// CheckNames finds what is wrong with the names of a client and an order.
func CheckNames(client, orderID string) *Violation {
	switch {
	case !isLabel(client):
		return invalid("client", "want a DNS label: %s", labelRule)
	case !isOrderID(orderID):
		return invalid("order_id", "want 1 to %d letters, digits, '-', '_' or '.', and not '.' or '..'", maxOrderID)
	}
	return nil
}

// The bounds of an order's parameters, in entries and bytes.
const (
	maxParameters = 16
	maxParameter  = 256
)

func checkParameters(parameters []schemas.Label) *Violation {
	if len(parameters) > maxParameters {
		return invalid("parameters", "there are %d, %d are taken", len(parameters), maxParameters)
	}
	for i, p := range parameters {
		switch {
		case p.Name == "" || len(p.Name) > 63 || !utf8.ValidString(p.Name):
			return invalid("parameters", "the name of entry %d has not 1 to 63 bytes of UTF-8", i)
		case len(p.Value) > maxParameter || !utf8.ValidString(p.Value):
			return invalid("parameters", "%q has more than %d bytes, or is not UTF-8", p.Name, maxParameter)
		case strings.Contains(p.Name, "="):
			return invalid("parameters", "the name %q has a '='", p.Name)
		case !isPlain(p.Name) || !isPlain(p.Value):
			return invalid("parameters", "%q or its value has a control character, or spaces around it", p.Name)
		case slices.ContainsFunc(parameters[:i], func(q schemas.Label) bool { return q.Name == p.Name }):
			return invalid("parameters", "%q is there twice", p.Name)
		}
	}
	return nil
}

// isPlain tells whether text stays as it is where it is written in a line and read again without the spaces around it, as in a form.
func isPlain(text string) bool {
	return text == strings.TrimSpace(text) && !strings.ContainsFunc(text, unicode.IsControl)
}

const labelRule = "1 to 63 lower-case letters, digits or '-', which neither begins nor ends it"

// isLabel tells whether text is a DNS label as Kubernetes takes them (RFC 1123).
func isLabel(text string) bool {
	if text == "" || len(text) > 63 || text[0] == '-' || text[len(text)-1] == '-' {
		return false
	}
	return !strings.ContainsFunc(text, func(r rune) bool {
		return r != '-' && (r < 'a' || r > 'z') && (r < '0' || r > '9')
	})
}

// OrderID returns the id of an order whose client gave none: the event id of the input that places it, or one that follows from it
// where that would be no order id.
func OrderID(client, eventID string) string {
	if isOrderID(eventID) {
		return eventID
	}
	return derived("order", client, eventID)
}

const maxOrderID = 64

// isOrderID keeps out what an address cannot end in, too: "." and ".." are taken for folders.
func isOrderID(text string) bool {
	return text != "" && text != "." && text != ".." && len(text) <= maxOrderID && !strings.ContainsFunc(text, func(r rune) bool {
		return (r < 'a' || r > 'z') && (r < 'A' || r > 'Z') && (r < '0' || r > '9') && r != '-' && r != '_' && r != '.'
	})
}
