package main

// dense is a map whose elements lie in a row, in the order in which they came as long as
// none is removed. It can be scanned in pieces, and gives an element at random.
type dense[V any] struct {
	places map[string]int32
	row    []field[V]
}

type field[V any] struct {
	name  string
	value V
}

func newDense[V any]() *dense[V] { return &dense[V]{places: make(map[string]int32)} }

func (d *dense[V]) len() int { return len(d.row) }

// find is the value of a name, nil if there is none.
func (d *dense[V]) find(name []byte) *V {
	if i, ok := d.places[string(name)]; ok {
		return &d.row[i].value
	}
	return nil
}

// add adds a name that is not there.
func (d *dense[V]) add(name []byte, v V) {
	key := string(name)
	d.places[key] = int32(len(d.row))
	d.row = append(d.row, field[V]{key, v})
}

// remove removes a name. The last one takes its place, so that a scan from the end to the
// beginning misses nothing.
func (d *dense[V]) remove(name []byte) bool {
	i, ok := d.places[string(name)]
	if !ok {
		return false
	}
	last := len(d.row) - 1
	delete(d.places, string(name))
	if int(i) != last {
		d.row[i] = d.row[last]
		d.places[d.row[i].name] = i
	}
	d.row[last] = field[V]{}
	d.row = d.row[:last]
	return true
}

// scan gives elements from the end to the beginning, as many as the options say, and
// returns the cursor for the next ones, 0 at the end.
func (d *dense[V]) scan(cursor int64, o *scanOptions, give func(*field[V])) (next int64) {
	at := len(d.row)
	if cursor > 0 {
		at = int(min(cursor, int64(at)))
	}
	for n := 0; at > 0 && n < o.count; n++ {
		at--
		if f := &d.row[at]; o.wants(f.name) {
			give(f)
		}
	}
	return int64(at)
}
