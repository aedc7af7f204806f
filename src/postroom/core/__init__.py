"""Our nouns and promises: pure values, ports and policy; no framework, driver or socket."""
