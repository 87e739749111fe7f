package obs

// Sample is what the server's own statistics take from the metrics of this node.
type Sample struct {
	// Rejected is the sum of messages_rejected_total since the process began.
	Rejected int64
	// Connections are those that are open now.
	Connections map[ConnProtocol]int64
}

// Sample reads the metrics in memory. Of a nil *Metrics all is 0.
func (m *Metrics) Sample() Sample {
	out := Sample{Connections: map[ConnProtocol]int64{}}
	if m == nil {
		return out
	}
	families, err := m.sampled.Gather()
	if err != nil { // only metrics that contradict each other are refused, and these are made here
		return out
	}
	for _, family := range families {
		for _, series := range family.GetMetric() {
			if counter := series.GetCounter(); counter != nil {
				out.Rejected += int64(counter.GetValue())
			} else if gauge := series.GetGauge(); gauge != nil {
				out.Connections[ConnProtocol(series.GetLabel()[0].GetValue())] = int64(gauge.GetValue())
			}
		}
	}
	return out
}
