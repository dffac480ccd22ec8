# shellcheck shell=bash
# demo.bashrc: what the shell of hack/demo begins with. The shell is the main
# program of the container that the demo stands for.
PS1='demo (main program) \$ '
pintle create gateway@coder
pintle create gateway@writer
echo
pintle status
cat <<'TEXT'

This shell is the main program. Beside it run two gateways. Try:

  pintle why dashboard              why it does not run (HERMES_DASHBOARD=1 make demo switches it on)
  kill -9 "$(pintle status -o json gateway@coder | sed -n 's/.*"pid": *\([0-9]*\).*/\1/p')"
  pintle why gateway@coder          why it restarted
  pintle logs -f gateway@coder      what it writes; Ctrl-C ends that
  pintle stop gateway@writer        ... start, restart, remove, create gateway@NAME
  pintle runs gateway@coder         how its runs ended
  mkdir -p $HERMES_HOME/profiles/ada && touch $HERMES_HOME/profiles/ada/SOUL.md      makes gateway@ada known
  pintle status --watch             the table, live
  hermes                            the stand-in agent's prompt; Ctrl-C reaches it alone
  exit                              ends the main program, and so everything

TEXT
