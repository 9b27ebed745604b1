package publicapi

import (
	"fmt"
	"go/types"
	"maps"
	"slices"
	"strings"
)

// listing collects the exported declarations of packages.
type listing struct {
	lines map[string]bool
	pkg   *types.Package
	name  string // of pkg, from the root of the module
}

// add lists a package.
func (l *listing) add(pkg *types.Package, name string) {
	l.pkg, l.name = pkg, name
	for _, name := range pkg.Scope().Names() {
		if object := pkg.Scope().Lookup(name); object.Exported() {
			l.object(object)
		}
	}
}

// text is the lines, sorted.
func (l *listing) text() string {
	var b strings.Builder
	for _, line := range slices.Sorted(maps.Keys(l.lines)) {
		b.WriteString(line)
		b.WriteByte('\n')
	}
	return b.String()
}

func (l *listing) line(format string, args ...any) {
	l.lines["pkg "+l.name+", "+fmt.Sprintf(format, args...)] = true
}

func (l *listing) object(object types.Object) {
	switch object := object.(type) {
	case *types.Const:
		l.line("const %s %s = %s", object.Name(), l.typ(object.Type()), object.Val().ExactString())
	case *types.Var:
		l.line("var %s %s", object.Name(), l.typ(object.Type()))
	case *types.Func:
		l.line("func %s%s", object.Name(), l.signature(object.Signature()))
	case *types.TypeName:
		l.typeName(object)
	}
}

func (l *listing) typeName(object *types.TypeName) {
	if alias, ok := object.Type().(*types.Alias); ok {
		named, ok := types.Unalias(alias).(*types.Named)
		l.line("type %s%s = %s", object.Name(), l.typeParams(alias.TypeParams()), l.typ(alias.Rhs()))
		if ok && strings.Contains(named.Obj().Pkg().Path(), "/internal/") { // it has no other name
			l.members(object.Name(), named)
		}
		return
	}
	named := object.Type().(*types.Named)
	head := object.Name() + l.typeParams(named.TypeParams())
	switch named.Underlying().(type) {
	case *types.Struct:
		l.line("type %s struct", head)
	case *types.Interface:
		l.line("type %s interface", head)
	default:
		l.line("type %s %s", head, l.typ(named.Underlying()))
	}
	l.members(object.Name(), named)
}

// members lists fields and methods.
func (l *listing) members(name string, named *types.Named) {
	switch u := named.Underlying().(type) {
	case *types.Struct:
		if types.Comparable(named) {
			l.line("type %s struct, comparable", name)
		}
		l.fields(name, u)
	case *types.Interface:
		l.interfaceOf(name, u)
		return
	}
	byValue := types.NewMethodSet(named)
	all := types.NewMethodSet(types.NewPointer(named))
	for i := range all.Len() {
		method := all.At(i).Obj().(*types.Func)
		if !method.Exported() {
			continue
		}
		receiver := "*" + name
		if byValue.Lookup(method.Pkg(), method.Name()) != nil {
			receiver = name
		}
		l.line("method (%s) %s%s", receiver, method.Name(), l.signature(all.At(i).Type().(*types.Signature)))
	}
}

// fields lists the exported fields, those of unexported embedded structs too.
func (l *listing) fields(name string, s *types.Struct) {
	for i := range s.NumFields() {
		field := s.Field(i)
		embedded, isStruct := field.Type().Underlying().(*types.Struct)
		switch {
		case field.Exported() && field.Embedded():
			l.line("type %s struct, embedded %s", name, l.typ(field.Type()))
		case field.Exported():
			l.line("type %s struct, %s %s", name, field.Name(), l.typ(field.Type()))
		case field.Embedded() && isStruct:
			l.fields(name, embedded)
		}
	}
}

// interfaceOf lists what an interface asks for. Others cannot implement one that has
// unexported methods.
func (l *listing) interfaceOf(name string, in *types.Interface) {
	for i := range in.NumMethods() {
		if method := in.Method(i); method.Exported() {
			l.line("type %s interface, %s%s", name, method.Name(), l.signature(method.Signature()))
		} else {
			l.line("type %s interface, unexported methods", name)
		}
	}
	for i := range in.NumEmbeddeds() {
		if union := in.EmbeddedType(i); !types.IsInterface(union) {
			l.line("type %s interface, %s", name, l.typ(union))
		}
	}
}

// typ is a type as this package writes it.
func (l *listing) typ(t types.Type) string { return types.TypeString(nameless(t), l.qualifier) }

func (l *listing) qualifier(pkg *types.Package) string {
	if pkg == l.pkg {
		return ""
	}
	return pkg.Name()
}

func (l *listing) signature(s *types.Signature) string {
	return l.typeParams(s.TypeParams()) + strings.TrimPrefix(l.typ(withoutTypeParams(s)), "func")
}

func (l *listing) typeParams(list *types.TypeParamList) string {
	if list.Len() == 0 {
		return ""
	}
	var params []string
	for i := range list.Len() {
		p := list.At(i)
		params = append(params, p.Obj().Name()+" "+l.typ(p.Constraint()))
	}
	return "[" + strings.Join(params, ", ") + "]"
}

func withoutTypeParams(s *types.Signature) *types.Signature {
	return types.NewSignatureType(nil, nil, nil, s.Params(), s.Results(), s.Variadic())
}

// nameless is a type without the names of parameters: another name is no change.
func nameless(t types.Type) types.Type {
	switch t := t.(type) {
	case *types.Signature:
		return types.NewSignatureType(nil, nil, nil, namelessTuple(t.Params()), namelessTuple(t.Results()), t.Variadic())
	case *types.Pointer:
		return types.NewPointer(nameless(t.Elem()))
	case *types.Slice:
		return types.NewSlice(nameless(t.Elem()))
	case *types.Array:
		return types.NewArray(nameless(t.Elem()), t.Len())
	case *types.Map:
		return types.NewMap(nameless(t.Key()), nameless(t.Elem()))
	case *types.Chan:
		return types.NewChan(t.Dir(), nameless(t.Elem()))
	}
	return t
}

func namelessTuple(t *types.Tuple) *types.Tuple {
	var vars []*types.Var
	for i := range t.Len() {
		vars = append(vars, types.NewParam(0, nil, "", nameless(t.At(i).Type())))
	}
	return types.NewTuple(vars...)
}
