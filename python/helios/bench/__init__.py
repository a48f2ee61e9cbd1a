"""The benchmark: `helios-cli benchmark`, which `make bench` calls.

Each figure is printed beside what it must be and should be, and beside its floor (what the machine
takes for the same work with nothing around it) and git's figure, all measured in the same run and
interleaved, because these machines are noisy: read ratios, not microseconds.

A figure that cannot be measured is `unknown`, with the reason; none is made up.
"""
