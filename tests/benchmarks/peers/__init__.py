"""One EM iteration of ours and of every peer, in interleaved rounds of one run."""
