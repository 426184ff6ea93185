# want: not_constant:4
package admission.defaults

settings := {"tags": input.client.labels}
