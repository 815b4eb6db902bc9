# SPDX-License-Identifier: GPL-2.0-or-later
# shellcheck shell=bash
# bash completion for iommu-policyctl(8)

# Verbs and options are those that the command's own help has.
__iommu_policyctl_verbs() {
	LC_ALL=C command iommu-policyctl --help 2>/dev/null |
		sed -n '/^Verbs:/,/^$/s/^  \([a-z][a-z-]*\).*/\1/p'
}

__iommu_policyctl_options() { # [VERB]
	LC_ALL=C command iommu-policyctl ${1:+"$1"} --help 2>/dev/null | sed -n '
		s/^  \(-[a-zA-Z]\), \(--[a-z-]*\).*/\1 \2/p
		s/^  \(--[a-z-]*\)\[=.*/\1 \1=/p
		s/^  \(--[a-z-]*\)=.*/\1=/p
		s/^  \(--[a-z-]*\).*/\1/p'
}

# Groups or devices that are there now. A daemon that does not run is not started for
# this: it would change what the policy says.
__iommu_policyctl_list() { # groups|devices
	if command busctl --system status org.iommupolicy1 &>/dev/null; then
		command iommu-policyctl --no-legend --no-pager list "$1" 2>/dev/null | awk '{ print $1 }'
	elif [[ $1 == groups ]]; then
		command ls /sys/kernel/iommu_groups 2>/dev/null
	else
		command ls /sys/bus/pci/devices 2>/dev/null
	fi
}

# The policy files in force, or, with errors in them, those that have some.
__iommu_policyctl_files() {
	command iommu-policyctl --json=pretty check 2>/dev/null |
		sed -n 's/^ *\("file": *\)\{0,1\}"\(\/[^"\\]*\.conf\)",\{0,1\}$/\2/p'
}

_iommu_policyctl() {
	local cur prev words cword verb='' host='' i n=0 wanted=''
	_init_completion -n := || return

	for ((i = 1; i < cword; i++)); do
		case ${words[i]} in
		-H | --host | --policy-dir)
			[[ ${words[i]} == --policy-dir ]] || host=yes
			((i++))
			;;
		-H* | --host=*) host=yes ;;
		-*) ;;
		*)
			if [[ ! $verb ]]; then
				verb=${words[i]}
			else
				((n++))
			fi
			;;
		esac
	done

	case $prev in
	-H | --host)
		_known_hosts_real -- "$cur"
		return
		;;
	--policy-dir)
		_filedir -d
		return
		;;
	esac
	case $cur in
	--json=*)
		mapfile -t COMPREPLY < <(compgen -P --json= -W 'pretty short off' -- "${cur#*=}")
		__iommu_policyctl_ltrim_equals "$cur"
		return
		;;
	--policy-dir=*)
		cur=${cur#*=}
		_filedir -d
		return
		;;
	--host=*)
		_known_hosts_real -- "${cur#*=}"
		return
		;;
	-*)
		mapfile -t COMPREPLY < <(compgen -W "$(__iommu_policyctl_options "$verb")" -- "$cur")
		[[ ${COMPREPLY[0]-} == *= ]] && compopt -o nospace
		return
		;;
	esac

	case $verb:$n in
	:*) wanted=$(__iommu_policyctl_verbs) ;;
	list:0) wanted='groups devices' ;;
	explain:0) [[ $host ]] || wanted=$(__iommu_policyctl_list devices) ;;
	show:0 | apply:0 | set:0 | restore:0)
		[[ $host ]] || wanted="$(__iommu_policyctl_list groups) $(__iommu_policyctl_list devices)"
		;;
	set:1) wanted='identity DMA DMA-FQ auto blocked' ;;
	log-level:0) wanted='emerg alert crit err warning notice info debug' ;;
	check:*)
		_filedir conf
		[[ $cur ]] || mapfile -t -O "${#COMPREPLY[@]}" COMPREPLY < <(__iommu_policyctl_files)
		return
		;;
	generate:0 | metrics:0)
		_filedir
		return
		;;
	esac
	mapfile -t COMPREPLY < <(compgen -W "$wanted" -- "$cur")
	# The part of an address that readline takes for words of its own.
	__ltrim_colon_completions "$cur"
}

# As for the colon: readline breaks words at '=', too.
__iommu_policyctl_ltrim_equals() {
	[[ $1 == *=* && $COMP_WORDBREAKS == *=* ]] || return
	local i head=${1%"${1##*=}"}

	for i in "${!COMPREPLY[@]}"; do
		COMPREPLY[i]=${COMPREPLY[i]#"$head"}
	done
}

complete -F _iommu_policyctl iommu-policyctl
