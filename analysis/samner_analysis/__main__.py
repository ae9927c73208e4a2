from samner_analysis.cli import main

raise SystemExit(main())
