"""Back into the agent: a provider and one agent per specialist in opencode's settings; settings of other clients."""
