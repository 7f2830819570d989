package main

//	flags -> the original JSON model -> POST, PUT or DELETE /v1/orders -> the registrar's decision

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"os/user"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
)

// orderFlags are what an input tells.
type orderFlags struct {
	Client      string            `json:"client,omitempty"`
	OrderID     string            `json:"order_id,omitempty"`
	Namespace   string            `json:"namespace,omitempty"`
	Environment string            `json:"environment,omitempty"`
	Archtype    string            `json:"archtype,omitempty"`
	Hardware    string            `json:"hardware,omitempty"`
	Product     string            `json:"product,omitempty"`
	Parameters  map[string]string `json:"parameters,omitempty"`
	Reason      string            `json:"reason,omitempty"`
	RequestedBy string            `json:"requested_by,omitempty"`
	Metadata    orderSource       `json:"Metadata"`

	wait    time.Duration
	version int
}

// orderSource says where an input comes from.
type orderSource struct {
	Origin    string `json:"origin"`
	Publisher string `json:"publisher"`
}

// bind defines the flags of every input.
func (o *orderFlags) bind(flags *pflag.FlagSet) {
	flags.StringVar(&o.Client, "client", "", "whose order it is")
	flags.StringVar(&o.RequestedBy, "requested-by", "", "who asks for it (default the user)")
	flags.DurationVar(&o.wait, "decision-wait", 5*time.Second, "how long to wait for the registrar's decision, at most 30s")
}

// bindTerms defines the flags of inputs that tell what is wanted.
func (o *orderFlags) bindTerms(flags *pflag.FlagSet) {
	flags.StringVar(&o.Namespace, "namespace", "", "where it is to run: a DNS label")
	flags.StringVar(&o.Environment, "environment", "dev", "dev, stage or prod")
	flags.StringVar(&o.Archtype, "archtype", "SaaS", "SaaS, Edge or On-Prem")
	flags.StringVar(&o.Hardware, "hardware", "Shared", "Classic, Dedicated or Shared")
	flags.StringVar(&o.Product, "product", "", "what is ordered")
	flags.StringToStringVar(&o.Parameters, "parameter", nil, "what else the product takes, as name=value")
}

// bindVersion defines the flag of inputs about an order that is there.
func (o *orderFlags) bindVersion(flags *pflag.FlagSet) {
	flags.IntVar(&o.version, "if-version", -1, "refuse it unless the order is at this version (default any)")
}

func (p *program) placeOrderCommand(api *gatewayAPI) *cobra.Command {
	var o orderFlags
	cmd := &cobra.Command{
		Use:     "place",
		Short:   "Place an order, and print what became of it as JSON",
		Example: "  fieldlog orders place --client cliente02 --namespace plant-7 --product Product-A --environment prod",
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return p.input(cmd.Context(), api, http.MethodPost, "/v1/orders", &o)
		},
	}
	o.bind(cmd.Flags())
	o.bindTerms(cmd.Flags())
	cmd.Flags().StringVar(&o.OrderID, "order-id", "", "id of the order: placed again with it, it is the same order (default a new one)")
	return cmd
}

func (p *program) changeOrderCommand(api *gatewayAPI) *cobra.Command {
	var o orderFlags
	cmd := &cobra.Command{
		Use:     "change ORDER",
		Short:   "Change an order to other terms, and print what became of it as JSON",
		Example: "  fieldlog orders change o-17 --namespace plant-7 --product Product-B --if-version 1",
		Args:    cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			return p.input(cmd.Context(), api, http.MethodPut, "/v1/orders/"+url.PathEscape(args[0]), &o)
		},
	}
	o.bind(cmd.Flags())
	o.bindTerms(cmd.Flags())
	o.bindVersion(cmd.Flags())
	return cmd
}

func (p *program) cancelOrderCommand(api *gatewayAPI) *cobra.Command {
	var o orderFlags
	cmd := &cobra.Command{
		Use:     "cancel ORDER",
		Short:   "Cancel an order, and print what became of it as JSON",
		Example: "  fieldlog orders cancel o-17 --why 'moved elsewhere'",
		Args:    cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			return p.input(cmd.Context(), api, http.MethodDelete, "/v1/orders/"+url.PathEscape(args[0]), &o)
		},
	}
	o.bind(cmd.Flags())
	o.bindVersion(cmd.Flags())
	cmd.Flags().StringVar(&o.Reason, "why", "", "why it is cancelled")
	return cmd
}

// interveneCommand lets an operator decide about an order that does not succeed.
func (p *program) interveneCommand(api *gatewayAPI, action, short string) *cobra.Command {
	var o orderFlags
	cmd := &cobra.Command{
		Use:     action + " ORDER",
		Short:   short,
		Example: "  fieldlog orders " + action + " o-17 --why 'the cluster is back'",
		Args:    cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			return p.input(cmd.Context(), api, http.MethodPost, "/v1/orders/"+url.PathEscape(args[0])+"/"+action, &o)
		},
	}
	o.bind(cmd.Flags())
	cmd.Flags().StringVar(&o.Reason, "why", "", "why, for the order's history")
	return cmd
}

// input sends an input and prints the answer.
func (p *program) input(ctx context.Context, api *gatewayAPI, method, path string, o *orderFlags) error {
	if o.RequestedBy == "" {
		if u, err := user.Current(); err == nil {
			o.RequestedBy = u.Username // a user without a name asks for nobody
		}
	}
	o.Metadata = orderSource{Origin: "cli", Publisher: "fieldlog " + version}
	body, err := json.Marshal(o)
	if err != nil {
		return err
	}
	header := http.Header{}
	if o.version >= 0 && method != http.MethodPost {
		header.Set("If-Match", fmt.Sprintf("%q", fmt.Sprint(o.version)))
	}
	var answer json.RawMessage
	if err := api.send(ctx, method, path+"?wait="+o.wait.String(), header, body, &answer); err != nil {
		return err
	}
	_, err = fmt.Fprintln(p.stdout, string(answer))
	return err
}
