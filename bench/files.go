package main

import (
	"context"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/goproactor/goproactor/bench/filereads"
	"github.com/goproactor/goproactor/bench/stats"
)

// compareFiles is 'bench files': random reads of a file, see package filereads.
func compareFiles(ctx context.Context, args []string) error {
	flags := flag.NewFlagSet("files", flag.ContinueOnError)
	o := filereads.Options{Depths: []int{1, 4, 8, 16, 32, 64, 128}}
	flags.StringVar(&o.Path, "file", filepath.Join(os.TempDir(), "bench-files.data"), "file to read, made if missing, on the file system to measure")
	mib := flags.Int64("mib", 1024, "size in MiB of what is read of it")
	only := flags.Int("depth", 0, "only this depth")
	flags.DurationVar(&o.Duration, "duration", 300*time.Millisecond, "of one measurement")
	flags.IntVar(&o.Rounds, "rounds", 5, "rounds; the table has medians of the ratios within each")
	kib := flags.Int("kib", 4, "size in KiB of a read, a multiple of 4")
	flags.BoolVar(&o.Cached, "cached", false, "through the page cache, instead of O_DIRECT")
	if err := parseFlags(flags, args); err != nil {
		return err
	}
	if *mib < 1 || o.Rounds < 1 || *only < 0 {
		return usagef("files: %d MiB, %d rounds, depth %d: want 1 or more, and depth 0 for all", *mib, o.Rounds, *only)
	}
	if *kib < 4 || *kib%4 != 0 || int64(*kib) > *mib<<10 {
		return usagef("files: reads of %d KiB: want a multiple of 4, and no more than the file has", *kib)
	}
	o.Size, o.Block = *mib<<20, *kib<<10
	if *only > 0 {
		o.Depths = []int{*only}
	}
	table := fileTable{options: o, samples: map[string][]filereads.Sample{}}
	if err := filereads.Run(ctx, o, table.add); err != nil {
		return err
	}
	table.print()
	return nil
}

// fileTable is what was measured, by reader and depth.
type fileTable struct {
	options filereads.Options
	samples map[string][]filereads.Sample
}

func (t *fileTable) add(_ int, s filereads.Sample) {
	key := fmt.Sprint(s.Reader, s.Depth)
	t.samples[key] = append(t.samples[key], s)
}

func (t *fileTable) of(reader string, depth int) []filereads.Sample {
	return t.samples[fmt.Sprint(reader, depth)]
}

func (t *fileTable) print() {
	way := "with O_DIRECT"
	if t.options.Cached {
		way = "from the page cache"
	}
	fmt.Printf("random reads of %d bytes %s, reads per second of processor time (and of the clock), ratio to os.File, gain of registered memory; medians of %d rounds\n\n",
		t.options.Block, way, t.options.Rounds)
	columns := []string{"depth"}
	for i, reader := range filereads.Readers {
		columns = append(columns, reader)
		if i > 0 {
			columns = append(columns, "ratio")
		}
		if _, ok := filereads.Unregistered(reader); ok {
			columns = append(columns, "gain")
		}
	}
	fmt.Println("| " + strings.Join(columns, " | ") + " |")
	fmt.Println(strings.Repeat("|---", len(columns)) + "|")
	for _, depth := range t.options.Depths {
		fmt.Println(t.row(depth))
	}
}

func (t *fileTable) row(depth int) string {
	cells := []string{fmt.Sprint(depth)}
	base := efficiencies(t.of(filereads.Readers[0], depth))
	for i, reader := range filereads.Readers {
		all := t.of(reader, depth)
		cells = append(cells, fmt.Sprintf("%.0f (%.0f)", stats.Median(efficiencies(all)), stats.Median(rates(all))))
		if i > 0 {
			cells = append(cells, fmt.Sprintf("%.2f", stats.Median(stats.Ratios(efficiencies(all), base))))
		}
		if other, ok := filereads.Unregistered(reader); ok {
			gain := stats.Ratios(efficiencies(all), efficiencies(t.of(other, depth)))
			cells = append(cells, fmt.Sprintf("%.2f", stats.Median(gain)))
		}
	}
	return "| " + strings.Join(cells, " | ") + " |"
}

func efficiencies(all []filereads.Sample) (list []float64) {
	for _, s := range all {
		list = append(list, s.PerCPUSecond())
	}
	return list
}

func rates(all []filereads.Sample) (list []float64) {
	for _, s := range all {
		list = append(list, float64(s.Reads)/s.Wall.Seconds())
	}
	return list
}
