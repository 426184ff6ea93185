package main

import (
	"fmt"

	"github.com/spf13/cobra"

	"guestlist/policies"
)

// policyReferenceCommand prints the manual of the contract.
func policyReferenceCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "reference",
		Short: "Print every setting, rule, input member and finding code, as this binary has them",
		Long: "Print the reference of the policy contract in Markdown: what each setting accepts, its\n" +
			"strict value and how it is bounded; the rules of each package and what they may read;\n" +
			"the members of the input by phase; the codes of findings.",
		Example: "  guestlist policy reference | less",
		Args:    noArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			_, err := fmt.Fprint(c.OutOrStdout(), policies.Reference())
			return err
		},
	}
}
