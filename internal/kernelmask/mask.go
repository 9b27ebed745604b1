// Package kernelmask lets the tests of this module hide features of the kernel's io_uring
// from it, as though the kernel had not got them.
package kernelmask

// Mask is a set of operations, set-up flags and features that are hidden. The zero value
// hides nothing.
type Mask struct{ names []string }

// Of makes a mask of what has those names in a report of package ring.
func Of(names ...string) Mask { return Mask{names} }

// Names is what it was made of.
func (m Mask) Names() []string { return m.names }

// Maskable is the options of a runtime, which are private to package proactor.
type Maskable interface{ MaskKernel(Mask) }

// Option makes an option of package proactor that masks features:
//
//	proactor.Option(kernelmask.Option(proactor.Option(nil), mask))
//
// Of the option given only the type counts, as in package queuehook.
func Option[O Maskable](_ func(O) error, m Mask) func(O) error {
	return func(o O) error {
		o.MaskKernel(m)
		return nil
	}
}
