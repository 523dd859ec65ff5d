# eval "$(codexapi completion bash)" in ~/.bashrc, or
# codexapi completion bash > ~/.local/share/bash-completion/completions/codexapi
_codexapi() {
    local line name width=0 files=
    local -a names=() notes=()
    COMPREPLY=()
    while IFS= read -r line; do
        if [[ $line == :files ]]; then
            files=1
        else
            name=${line%%$'\t'*}
            names+=("$name") notes+=("${line#*$'\t'}")
            (( ${#name} > width )) && width=${#name}
        fi
    done < <(codexapi completion bash --after -- "${COMP_WORDS[@]:1:COMP_CWORD}" 2>/dev/null)
    if [[ -n $files ]]; then
        compopt -o default -o filenames 2>/dev/null
    elif (( ${#names[@]} == 1 )) || [[ $COMP_TYPE == 37 || $COMP_TYPE == 42 ]]; then
        COMPREPLY=("${names[@]}")
    else
        local at room=$(( ${COLUMNS:-80} - width - 5 ))
        for at in "${!names[@]}"; do
            line=${names[at]}
            if [[ -n ${notes[at]} ]] && (( room > 10 )); then
                line=$(printf "%-${width}s  (%s)" "$line" "${notes[at]:0:room}")
            fi
            COMPREPLY+=("$line")
        done
    fi
}
complete -o nosort -F _codexapi codexapi 2>/dev/null || complete -F _codexapi codexapi
