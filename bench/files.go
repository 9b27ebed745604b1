package main

import (
	"context"
	"flag"
	"fmt"
	"os"
	"path/filepath"
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
	if err := parseFlags(flags, args); err != nil {
		return err
	}
	if *mib < 1 || o.Rounds < 1 || *only < 0 {
		return usagef("files: %d MiB, %d rounds, depth %d: want 1 or more, and depth 0 for all", *mib, o.Rounds, *only)
	}
	o.Size = *mib << 20
	if *only > 0 {
		o.Depths = []int{*only}
	}
	samples := map[string][]filereads.Sample{}
	key := func(reader string, depth int) string { return fmt.Sprint(reader, depth) }
	err := filereads.Run(ctx, o, func(_ int, s filereads.Sample) {
		samples[key(s.Reader, s.Depth)] = append(samples[key(s.Reader, s.Depth)], s)
	})
	if err != nil {
		return err
	}
	fmt.Printf("random reads of %d bytes with O_DIRECT, reads per second of processor time (and of the clock), ratio to os.File; medians of %d rounds\n\n", filereads.Block, o.Rounds)
	fmt.Println("| depth | " + "os.File | io_uring | ratio | epoll | ratio |")
	fmt.Println("|---|---|---|---|---|---|")
	for _, depth := range o.Depths {
		fmt.Printf("| %d ", depth)
		base := efficiencies(samples[key(filereads.Readers[0], depth)])
		for i, reader := range filereads.Readers {
			all := samples[key(reader, depth)]
			fmt.Printf("| %.0f (%.0f) ", stats.Median(efficiencies(all)), stats.Median(rates(all)))
			if i > 0 {
				fmt.Printf("| %.2f ", stats.Median(stats.Ratios(efficiencies(all), base)))
			}
		}
		fmt.Println("|")
	}
	return nil
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
