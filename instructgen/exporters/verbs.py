"""Verbs that English instructions open with, for the card's statistics.

The first word of an instruction is looked up here, nothing is parsed: `Write a poem.` counts as "write"; `A poem,
please.` and an instruction in another language count as none.
"""

_VERBS = """
abbreviate accept act adapt add address adjust advise analyse analyze annotate answer apply argue arrange articulate
ask assemble assess assign assume balance blend brainstorm break build calculate capitalize categorise categorize
change chart check choose cite clarify classify clean close code coin collect combine come comment compare compile
complete compose compress compute condense conduct conjugate connect consider construct contrast convert convince copy
correct count craft create critique cut debate debug decide decode deduce define delete demonstrate derive describe
design detect determine develop devise diagnose differentiate discuss dispute distinguish divide document draft draw
edit elaborate eliminate enumerate estimate evaluate examine expand explain explore express extend extract fill filter
find finish fix follow form format formulate generate give group guess help highlight hypothesize identify illustrate
imagine implement improve include indicate infer insert inspect interpret introduce invent investigate join judge
justify label lay list locate look make map mark match measure mention merge modify multiply name narrate negotiate
normalize note offer optimize order organise organize outline paint paraphrase parse perform pick plan play plot point
polish predict prepare present print prioritize produce program proofread propose prove provide punctuate put quantify
quote raise rank rate rearrange recall recommend reconstruct record reduce refactor refine reformat reformulate refute
reimagine remove rename reorder repair repeat rephrase replace reply report represent reproduce research respond
restate restructure retell return reverse review revise reword rewrite role round rule say schedule scramble search
select separate set shorten show simplify simulate sketch solve sort speculate spell split start state structure
substitute subtract suggest sum summarise summarize support swap take talk teach tell test think title transcribe
transform translate treat trim turn update use validate verify visualize weigh write
"""
VERBS = frozenset(_VERBS.split())
