package main

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"math/big"
	"slices"
	"time"
)

// mostGrowth bounds the resident memory after the reloads, as a multiple of that after
// the first load. mostExtra bounds the milliseconds for a router beyond one of the
// no-op plugin.
const (
	mostGrowth = 1.30
	mostExtra  = 0.60
)

// A burden has the CPU time and the memory of a Traefik with many routers of one subject.
type burden struct {
	perRouter    float64       // milliseconds of CPU for each router and reload
	reload       time.Duration // from the change until it applies
	first, after float64       // MB resident, with garbage: after the first load, and after the reloads
	kept         figures       // once the garbage is collected
	settled      time.Duration // the duration of that
}

// routers prints the cost of a reload for each router, for the no-op plugin and for
// ours. It measures once with options that change with each reload, and once with
// options that stay.
func routers(ctx context.Context, p plan) error {
	for _, changing := range []bool{true, false} {
		text := "the options stay"
		if changing {
			text = "the options change"
		}
		fmt.Printf("%d routers, %d reloads, %s: %d rounds, interleaved\n", p.Routers, p.Reloads, text, p.Rounds)
		if err := routersOnce(ctx, p, changing); err != nil {
			return err
		}
	}
	fmt.Printf("  wanted: traefikoidc less than %.2f ms more than no-op; collected resident memory at most %.2f times that of the first load\n", mostExtra, mostGrowth)
	return nil
}

func routersOnce(ctx context.Context, p plan, changing bool) error {
	subjects := []subject{noop, ours}
	costs := make([][]float64, len(subjects))
	for range p.Rounds {
		for i, s := range subjects {
			b, err := bear(ctx, s, p, changing)
			if err != nil {
				return fmt.Errorf("%s: %w", s.Name, err)
			}
			costs[i] = append(costs[i], b.perRouter)
			fmt.Printf("  %-14s %.3f ms of CPU a router and reload, %v a reload; resident %.1f -> %.1f MB (%.2f), collected %.1f (%.2f) in %v, heap %.1f\n",
				s.Name, b.perRouter, b.reload.Round(time.Millisecond), b.first, b.after, b.after/b.first,
				b.kept.resident, b.kept.resident/b.first, b.settled.Round(time.Second), b.kept.heap)
		}
	}
	least := []float64{slices.Min(costs[0]), slices.Min(costs[1])}
	fmt.Printf("  least: no-op %.3f ms, traefikoidc %.3f ms: %.3f ms more\n", least[0], least[1], least[1]-least[0])
	return nil
}

// bear starts a Traefik with the routers and changes its configuration.
func bear(ctx context.Context, s subject, p plan, changing bool) (burden, error) {
	var b burden
	g, err := (&rig{subjects: []subject{s}, more: p.Routers - 1, steady: !changing}).start(ctx)
	if err != nil {
		return b, err
	}
	defer g.close()
	b.first = g.resident()
	before := g.cpu()
	began := time.Now()
	if err := g.change(ctx, p.Reloads); err != nil {
		return b, err
	}
	took := time.Since(began)
	spent := g.cpu() - before
	b.reload = took / time.Duration(p.Reloads)
	b.perRouter = spent.Seconds() * 1000 / float64(p.Reloads*p.Routers)
	b.after = g.resident()
	for began = time.Now(); ; time.Sleep(time.Second) {
		if b.kept, err = g.figures(); err != nil {
			return b, err
		}
		b.settled = time.Since(began)
		if b.kept.resident <= mostGrowth*b.first || b.settled > p.Settle || ctx.Err() != nil {
			return b, nil
		}
	}
}

// writeCertificate writes a certificate for Traefik, where there are many routers.
// Without one Traefik makes an RSA key at each reload. That costs as much as the
// routers, and a different time each time.
func (g *rig) writeCertificate() error {
	if g.more == 0 {
		return nil
	}
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return err
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1), DNSNames: []string{"bench.test"}, NotAfter: time.Now().Add(24 * time.Hour)}
	der, err := x509.CreateCertificate(rand.Reader, template, template, private.Public(), private)
	if err != nil {
		return err
	}
	secret, err := x509.MarshalPKCS8PrivateKey(private)
	if err != nil {
		return err
	}
	text := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})
	return g.write("default.pem", string(text)+string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: secret})))
}
