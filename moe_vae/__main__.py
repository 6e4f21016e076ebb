"""`python -m moe_vae`."""

from moe_vae.cli.main import main

raise SystemExit(main())
