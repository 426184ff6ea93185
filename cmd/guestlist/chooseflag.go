package main

import (
	"fmt"

	"github.com/spf13/pflag"
)

// chooseFlag adds a flag that narrows down what a command is about. It is
// refused where it is given without a value, as --host "$HOST" is with a
// variable that is not set: the command would be about everything. So is one
// that is given twice with two values, of which only one could count.
func chooseFlag(fl *pflag.FlagSet, value *string, name, usage string) {
	fl.Var(&chosen{value: value, flag: name}, name, usage)
}

// chosen is the value of such a flag.
type chosen struct {
	value *string
	flag  string
}

// String implements pflag.Value.
func (c *chosen) String() string {
	if c.value == nil {
		return ""
	}
	return *c.value
}

// Type implements pflag.Value.
func (c *chosen) Type() string { return "string" }

// Set implements pflag.Value.
func (c *chosen) Set(s string) error {
	if s == "" {
		return emptyChoice(c.flag)
	}
	if was := *c.value; was != "" && was != s {
		return &choiceError{fmt.Sprintf("--%s is given twice, as %.80q and %.80q. Remedy: one command for each", c.flag, was, s)}
	}
	*c.value = s
	return nil
}

// emptyChoice refuses a flag without a value.
func emptyChoice(flag string) error {
	return &choiceError{"--" + flag + " is empty, so that it chooses nothing. Remedy: give it a value, or leave it out"}
}

// choiceError says why a flag chooses nothing.
type choiceError struct{ text string }

// Error implements error.
func (e *choiceError) Error() string { return e.text }
