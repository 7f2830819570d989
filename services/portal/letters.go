package portal

import (
	"context"
	"net/http"
	"time"
)

// letterList is the page of dead letters.
type letterList struct {
	State   string
	States  []string
	Letters []Letter
	More    bool
}

const maxLetters = 100

func (p *Portal) listLetters(v *visit) error {
	data := letterList{State: v.r.URL.Query().Get("state"), States: []string{"open", "redriven", "discarded"}}
	switch data.State {
	case "":
		data.State = "open"
	case "open", "redriven", "discarded":
	default:
		return fail(http.StatusBadRequest, "A letter is open, redriven or discarded.")
	}
	release, err := p.reading(v)
	if err != nil {
		return err
	}
	defer release()
	ctx, cancel := v.within(50 * time.Second)
	defer cancel()
	if data.Letters, err = p.sources.Letters.List(ctx, data.State, maxLetters+1); err != nil {
		return &unreachable{err}
	}
	if data.More = len(data.Letters) > maxLetters; data.More {
		data.Letters = data.Letters[:maxLetters]
	}
	return v.show("letters", "Dead letters", data)
}

func (p *Portal) redrive(v *visit) error {
	return p.decideLetter(v, p.sources.Letters.Redrive, "redriven")
}

func (p *Portal) discard(v *visit) error {
	return p.decideLetter(v, p.sources.Letters.Discard, "discarded")
}

// decideLetter needs a reason, which is kept in the log.
func (p *Portal) decideLetter(v *visit, do func(ctx context.Context, id, by, why string) (Outcome, error), done string) error {
	id, why := v.form("letter"), v.form("why")
	switch {
	case id == "" || len(id) > maxName*4:
		return fail(http.StatusBadRequest, "The form does not say which letter it is about.")
	case why == "" || len(why) > maxWhy:
		return fail(http.StatusBadRequest, "A decision needs a reason, of at most 500 bytes. It is kept in the log.")
	}
	release, err := p.reading(v)
	if err != nil {
		return err
	}
	defer release()
	ctx, cancel := v.within(50 * time.Second)
	defer cancel()
	outcome, err := do(ctx, id, v.user.Name, why)
	switch {
	case err != nil:
		return &unreachable{err}
	case !outcome.Done:
		return fail(http.StatusConflict, "The letter is left as it was: "+outcome.Detail)
	}
	return v.redirect("/letters?done=" + done)
}
