package main

import (
	"reflect"
	"testing"
)

const quiet = `Running 3s test @ http://127.0.0.1:8080/
  2 threads and 32 connections
  Thread Stats   Avg      Stdev     Max   +/- Stdev
    Latency     2.71ms    1.31ms  22.40ms   83.51%
    Req/Sec     6.05k   515.36     7.30k    70.00%
  36150 requests in 3.01s, 4.27MB read
Requests/sec:  12012.53
Transfer/sec:      1.42MB
`

const troubled = `  36150 requests in 3.01s, 4.27MB read
  Socket errors: connect 1, read 20, write 300, timeout 4000
  Non-2xx or 3xx responses: 50000
Requests/sec:  12012.53
`

func TestParse(t *testing.T) {
	tests := []struct {
		name, text string
		want       result
		fails      bool
	}{
		{name: "quiet", text: quiet, want: result{Requests: 36150, Rate: 12012.53}},
		{name: "failures of both kinds", text: troubled, want: result{Requests: 36150, Rate: 12012.53, Failed: 54321}},
		{name: "nothing", text: "unable to connect", fails: true},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got, err := parse(tt.text)
			if (err != nil) != tt.fails {
				t.Fatalf("error %v", err)
			}
			if err == nil && got != tt.want {
				t.Errorf("got %+v, want %+v", got, tt.want)
			}
		})
	}
}

func TestMedian(t *testing.T) {
	tests := []struct {
		values []float64
		want   float64
	}{
		{nil, 0},
		{[]float64{3}, 3},
		{[]float64{9, 1, 5}, 5},
		{[]float64{4, 1, 2, 3}, 2.5},
	}
	for _, tt := range tests {
		before := append([]float64(nil), tt.values...)
		if got := median(tt.values); got != tt.want {
			t.Errorf("median(%v) = %v, want %v", tt.values, got, tt.want)
		}
		if !reflect.DeepEqual(tt.values, before) {
			t.Errorf("median changed its argument to %v", tt.values)
		}
	}
}
