package main

//	flags -> the gateway's HTTP API (/v1/orders, /v1/clients) -> a table, or JSON

import (
	"context"
	"encoding/json"
	"fmt"
	"net/url"
	"strconv"
	"time"

	"github.com/spf13/cobra"

	"github.com/fieldlog/fieldlog/services/directory"
)

func (p *program) ordersCommand() *cobra.Command {
	var api gatewayAPI
	cmd := &cobra.Command{
		Use:   "orders",
		Short: "Place, change, cancel and look at the orders of clients",
		Long: `Asks the gateway: what clients ordered, how far it is, and what happened to it. What changes an order is an input that
the registrar decides; the commands wait for its decision.`,
		Example: "  fieldlog orders list --status failing\n  fieldlog orders place --client cliente02 --namespace plant-7 --product Product-A",
	}
	api.bind(cmd.PersistentFlags())
	cmd.AddCommand(p.listOrdersCommand(&api), p.showOrderCommand(&api), p.placeOrderCommand(&api), p.changeOrderCommand(&api), p.cancelOrderCommand(&api),
		p.interveneCommand(&api, "retry", "Try again what failed of an order, now"),
		p.interveneCommand(&api, "abandon", "Give up an order that does not succeed"))
	return cmd
}

// orderFilter says which orders are listed.
type orderFilter struct{ client, status, product string }

func (p *program) listOrdersCommand(api *gatewayAPI) *cobra.Command {
	var f orderFilter
	var asJSON bool
	cmd := &cobra.Command{
		Use:     "list",
		Short:   "List orders by client, oldest first",
		Example: "  fieldlog orders list --client cliente02\n  fieldlog orders list --json | jq .order_id",
		Args:    cobra.NoArgs,
		RunE:    func(cmd *cobra.Command, _ []string) error { return p.listOrders(cmd.Context(), api, f, asJSON) },
	}
	flags := cmd.Flags()
	flags.StringVar(&f.client, "client", "", "only of this client")
	flags.StringVar(&f.status, "status", "", "only of this status: accepted, provisioning, ready, failing, abandoned, cancelled, deprovisioned")
	flags.StringVar(&f.product, "product", "", "only of this product")
	flags.BoolVar(&asJSON, "json", false, "print a JSON line for each order")
	return cmd
}

func (p *program) listOrders(ctx context.Context, api *gatewayAPI, f orderFilter, asJSON bool) error {
	query := url.Values{"client": {f.client}, "status": {f.status}, "product": {f.product}, "limit": {"1000"}}
	t := table{
		header: []string{"client", "order", "status", "version", "product", "namespace", "environment", "hardware", "placed", "detail"},
		right:  []bool{3: true, 9: false},
	}
	out := json.NewEncoder(p.stdout)
	for more := true; more; {
		var page struct {
			Orders []directory.Order
			Next   string
		}
		if err := api.get(ctx, "/v1/orders?"+query.Encode(), &page); err != nil {
			return err
		}
		for _, o := range page.Orders {
			if asJSON {
				if err := out.Encode(o); err != nil {
					return err
				}
			}
			t.rows = append(t.rows, orderRow(o))
		}
		more = page.Next != ""
		query.Set("after", page.Next)
	}
	if asJSON {
		return nil
	}
	_, err := p.stdout.Write(t.text(p.columns))
	return err
}

func orderRow(o directory.Order) []string {
	return []string{
		o.Client, o.OrderID, progressOf(o), strconv.Itoa(int(o.Version)), o.Product, o.Namespace, o.Environment, o.Hardware,
		o.Placed.Local().Format(time.DateTime), o.Detail,
	}
}

// progressOf tells an order's status, and its step where it has one.
func progressOf(o directory.Order) string {
	if o.Steps > 0 && o.StepName != "" {
		return fmt.Sprintf("%s %d/%d %s", o.Status, o.Step, o.Steps, o.StepName)
	}
	return string(o.Status)
}

func (p *program) showOrderCommand(api *gatewayAPI) *cobra.Command {
	var client string
	var events int
	cmd := &cobra.Command{
		Use:     "show ORDER",
		Short:   "Show an order and what happened to it, as JSON",
		Example: "  fieldlog orders show 0190b1f2-3c4d-7e5f-8a6b-9c0d1e2f3a4b | jq '.events[].kind'",
		Args:    cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			return p.showOrder(cmd.Context(), api, args[0], client, events)
		},
	}
	cmd.Flags().StringVar(&client, "client", "", "whose it is, where several clients have an order of that id")
	cmd.Flags().IntVar(&events, "events", 100, "how many of its client's last events to look through, at most 1000")
	return cmd
}

// showOrder prints an order with the events that name it.
func (p *program) showOrder(ctx context.Context, api *gatewayAPI, id, client string, events int) error {
	var shown struct {
		directory.Order
		Events []directory.Told `json:"events"`
	}
	if err := api.get(ctx, "/v1/orders/"+url.PathEscape(id)+"?client="+url.QueryEscape(client), &shown.Order); err != nil {
		return err
	}
	var owner directory.Client
	if err := api.get(ctx, fmt.Sprintf("/v1/clients/%s?history=%d", url.PathEscape(shown.Client), events), &owner); err != nil {
		return err
	}
	shown.Events = []directory.Told{}
	for _, told := range owner.History {
		var about struct {
			OrderID string `json:"order_id"`
		}
		if json.Unmarshal(told.Event, &about) == nil && about.OrderID == id {
			shown.Events = append(shown.Events, told)
		}
	}
	out := json.NewEncoder(p.stdout)
	out.SetIndent("", "  ")
	return out.Encode(shown)
}
