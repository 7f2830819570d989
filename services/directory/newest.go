package directory

import (
	"cmp"
	"errors"
	"net/url"
	"slices"
	"strconv"
	"strings"

	"github.com/fieldlog/fieldlog/schemas"
)

// ranked is an order in the list that begins with what changed last.
type ranked struct {
	changed, placed schemas.Time
	client          string
	order           *schemas.OrderState
	id              string
}

func rank(client string, o *schemas.OrderState) ranked {
	return ranked{changed: max(o.Told, o.Updated), placed: o.Placed, client: client, order: o, id: o.OrderID}
}

// compare puts what changed later first. Orders are told apart by what they keep: client, id and when they were placed.
func (a ranked) compare(b ranked) int {
	return cmp.Or(cmp.Compare(b.changed, a.changed), cmp.Compare(b.placed, a.placed), cmp.Compare(a.client, b.client), cmp.Compare(a.id, b.id))
}

// String is where a page ends that ends with it.
func (a ranked) String() string {
	return strings.Join([]string{strconv.FormatInt(int64(a.changed), 10), strconv.FormatInt(int64(a.placed), 10), a.client, a.id}, "/")
}

var errAfter = errors.New("after is next of the page before")

func rankOf(text string) (a ranked, err error) {
	parts := strings.Split(text, "/")
	if len(parts) != 4 {
		return a, errAfter
	}
	changed, err1 := strconv.ParseInt(parts[0], 10, 64)
	placed, err2 := strconv.ParseInt(parts[1], 10, 64)
	if err1 != nil || err2 != nil {
		return a, errAfter
	}
	return ranked{changed: schemas.Time(changed), placed: schemas.Time(placed), client: parts[2], id: parts[3]}, nil
}

// newest returns the page of the wanted orders that changed last, behind the page before. It looks at every order, and keeps one page of
// them. An order that changes between two pages is on the first one when that is asked for again.
func (d *Directory) newest(q url.Values, limit int) (ordersPage, error) {
	var after ranked
	begins := q.Get("after") == ""
	if !begins {
		var err error
		if after, err = rankOf(q.Get("after")); err != nil {
			return ordersPage{}, err
		}
	}
	f, most := filterOf(q), make([]ranked, 0, limit+1)
	d.book.after("", func(s *schemas.ClientState) bool {
		for i := range s.Orders {
			one := rank(s.Client, &s.Orders[i])
			if !begins && one.compare(after) <= 0 || len(most) > limit && one.compare(most[limit]) >= 0 || !f.takes(s.Client, &s.Orders[i]) {
				continue
			}
			at, _ := slices.BinarySearchFunc(most, one, ranked.compare)
			most = slices.Insert(most[:min(len(most), limit)], at, one)
		}
		return false
	})
	page := ordersPage{Orders: []Order{}}
	if len(most) > limit {
		most = most[:limit]
		page.Next = most[limit-1].String()
	}
	for _, one := range most {
		page.Orders = append(page.Orders, shownOrder(one.client, one.order))
	}
	return page, nil
}
