"""Starting the whole assistant: `python -m deploy.run` for people, `python -m deploy.demo` for the story."""
