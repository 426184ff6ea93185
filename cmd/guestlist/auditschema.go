package main

import (
	"fmt"

	"github.com/spf13/cobra"

	"guestlist/broker"
	"guestlist/broker/decisionlog"
)

// auditSchemaCommand prints the schema of a record.
func auditSchemaCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "schema",
		Short: "Print the JSON Schema of a decision record",
		Long: "Print the JSON Schema (draft 2020-12) of a decision record as audit commands and exporters\n" +
			"write it. It needs no server. guestlist audit reference says what the members mean.",
		Example: "  guestlist audit schema > record.schema.json",
		Args:    noArgs,
		RunE:    func(c *cobra.Command, _ []string) error { return printJSON(c.OutOrStdout(), decisionlog.Schema()) },
	}
}

// auditReferenceCommand prints the manual of the log.
func auditReferenceCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "reference",
		Short: "Print every event, outcome, member and reason of the decision log",
		Long: "Print the reference of the decision log in Markdown: when each event is written and with\n" +
			"which members, what the members mean and which are personal, and every reason with\n" +
			"what strangers are told instead. It needs no server.",
		Example: "  guestlist audit reference | less",
		Args:    noArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			var reasons []decisionlog.ReasonDoc
			for _, r := range broker.Reasons() {
				reasons = append(reasons, decisionlog.ReasonDoc{Code: string(r.Reason), Public: string(r.Public), Meaning: r.Meaning})
			}
			_, err := fmt.Fprint(c.OutOrStdout(), decisionlog.Reference(reasons))
			return err
		},
	}
}
