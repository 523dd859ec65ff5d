# codexapi completion fish > ~/.config/fish/completions/codexapi.fish
function __codexapi
    set -l words (commandline -opc) (commandline -ct)
    set -l found (codexapi completion fish --after -- $words[2..-1] 2>/dev/null)
    if contains -- :files $found
        __fish_complete_path (commandline -ct)
    end
    string match --invert -- :files $found
end
complete -c codexapi -f -k -a '(__codexapi)'
