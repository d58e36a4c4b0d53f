package resp

// The interpreter works the type of a method out when the method is first
// called, and keeps it without a lock: two first calls at once are a data race
// inside the interpreter. So every method is made a value here, once, before
// there is a second goroutine. Compiled, this does nothing.
func init() {
	c := &Client{}
	p := &pool{}
	pa := &patrol{}
	o := &opening{}
	s := &sweep{}
	r := &record{}
	cs := &CommandStats{}
	t := &task{}
	x := &conn{}
	ba := &batch{}
	d := &Reader{}
	re := &Reply{}
	op := &Options{}
	l := &Limits{}
	tr := &Tracker{}
	li := &listening{}
	pi := &pinging{}
	touch(c.Close, c.Del, c.Do, c.Eval, c.Exists, c.Get, c.PTTL, c.Ping, c.Pipeline, c.Scan, c.Set, c.SetNX,
		c.Stats, c.Unlink, c.begin, c.do, c.ends, c.eval, c.get, c.owner, c.remove, c.scriptless, c.set, c.setNX,
		c.takeFor, c.transact)
	touch(p.aged, p.agedLocked, p.arm, p.clock, p.close, p.count, p.dialLocked, p.drop, p.examine,
		p.failedLocked, p.grantLocked, p.idleLocked, p.now, p.openLocked, p.opened, p.overdueLocked, p.pop,
		p.popLocked, p.put, p.queueLocked, p.releaseLocked, p.spend, p.startLocked, p.sweep, p.take, p.wait)
	touch(pa.Run)
	touch(o.Run)
	touch(s.Run)
	touch(r.add)
	touch(cs.add)
	touch(t.again, t.attempt, t.attemptAll, t.bound, t.commit, t.connect, t.done, t.extend, t.lost, t.mayRepeat,
		t.optimistic, t.pause, t.rest, t.resume, t.run)
	touch(ba.repeatable)
	touch(x.appendProof, x.arm, x.ask, x.clean, x.close, x.converse, x.greet, x.present, x.prove,
		x.proven, x.read, x.resume, x.resumeString)
	touch(d.ReadReply, d.aggregate, d.body, d.bulk, d.line, d.read, d.readOther, d.reply)
	touch(re.Bytes, re.Err, re.Integer, re.Strings, re.unlike)
	touch(op.age, op.budget, op.withDefaults)
	touch(l.withDefaults)
	touch(tr.Close, tr.Start, tr.enable, tr.heed, tr.invalidate, tr.keep, tr.listen, tr.published, tr.tell)
	touch(li.Run)
	touch(pi.Run, pi.start, pi.stop)
}

func touch(methods ...any) {
	_ = methods
}
