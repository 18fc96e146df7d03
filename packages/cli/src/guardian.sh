#!/bin/sh
# Ends the launcher's children when the launcher dies, however it dies (kill -9 included).
#
# Standard input is a pipe from the launcher: "+ <pid>" for each child begun, "- <pid>" for each child ended; every child leads
# its own process group, so that its own children go with it. The kernel closes the pipe when the launcher is gone. A clean
# launcher has ended its children before, and nothing is left to do.
trap '' INT TERM HUP

groups=''
while read -r change pid; do
  case $change in
    +) groups="$groups $pid" ;;
    -)
      kept=''
      for group in $groups; do
        [ "$group" = "$pid" ] || kept="$kept $group"
      done
      groups=$kept
      ;;
  esac
done

# A short grace, so that NATS and Redis close their files.
for group in $groups; do kill -s TERM -- "-$group" 2>/dev/null; done
for _ in 1 2 3 4 5 6 7 8 9 10; do
  left=''
  for group in $groups; do
    if kill -s 0 -- "-$group" 2>/dev/null; then left="$left $group"; fi
  done
  groups=$left
  [ -n "$groups" ] || exit 0
  sleep 0.1
done
for group in $groups; do kill -s KILL -- "-$group" 2>/dev/null; done
