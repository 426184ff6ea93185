# want: anyone_closed:2
package admission.anyone

mode := "warn"
