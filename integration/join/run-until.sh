#!/bin/sh
# run-until.sh TEXT COMMAND...
# Runs the command until it prints a line with TEXT, then ends it by TERM. Prints what it printed up to there, exits with
# its status.
text=$1
shift
folder=$(mktemp -d)
mkfifo "$folder/output"
"$@" >"$folder/output" 2>&1 &
pid=$!
exec 3<"$folder/output"
while IFS= read -r line <&3; do
  printf '%s\n' "$line"
  case $line in *"$text"*) break ;; esac
done
kill -TERM "$pid" 2>/dev/null
cat <&3 >/dev/null
wait "$pid"
status=$?
rm -r "$folder"
exit "$status"
