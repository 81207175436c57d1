# To be sourced. Runs long commands with their output in a log; on a terminal one line shows that they live.

# step LABEL LOG COMMAND...   returns what the command returns
step() {
  local label=$1 log=$2 begin=$SECONDS pid width last code=0
  shift 2
  if [ ! -t 1 ]; then
    printf '%s\n' "$label"
    "$@" >"$log" 2>&1 </dev/null
    return
  fi
  "$@" >"$log" 2>&1 </dev/null &
  pid=$!
  trap 'kill '"$pid"' 2>/dev/null; printf "\n"; exit 130' INT TERM
  while kill -0 "$pid" 2>/dev/null; do
    width=$(($(tput cols 2>/dev/null || echo 80) - ${#label} - 12))
    last=$(tail -n 1 "$log" 2>/dev/null | tr -d '\r\033' | cut -c "1-$((width > 10 ? width : 10))")
    printf '\r\033[K%s  %3d s  %s' "$label" $((SECONDS - begin)) "$last"
    sleep 0.5
  done
  wait "$pid" || code=$?
  trap - INT TERM
  printf '\r\033[K%s  %3d s\n' "$label" $((SECONDS - begin))
  return "$code"
}
