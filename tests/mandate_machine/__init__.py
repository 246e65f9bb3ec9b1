"""The machine of mandates: whatever can happen to them, in any order, against one model in memory.

Read it in this order:

- `model` says what a mandate is, every rule once; `around` what all mandates share; `occurrences`
  what became of what was due; `words` what is asked and told; `shapes` what people limit.
- `rules/` has what may happen: each rule does one thing by the product's services and lets the
  model do the same. `faults` breaks into them, `world` holds what they share.
- `promises` has what must hold after each step, and at the end of a world; `doors` what each door
  tells of a mandate at any time.
- `machine` says how often each rule is taken; `tally` counts what came about, and what must.

Which part holds which invariant (docs/invariants.md):

- I1: `Mandate.redeem`; `limits_hold`, `the_state_is_the_models`; the rules of `rules/limits.py`.
- I2: `the_ledger_only_grew`, `every_answer_is_proven`; the rules `seal`, `empty_the_sink`.
- I3, I4: the rules of `rules/attackers.py`.
- I5: `World.judge`, `every_answer_is_proven`, `every_key_is_answered_again`; `faults`.
- I6: `Mandate.forbids`; the rules `retry`, `retry_late`.
- I7: `occurrences`; `every_occurrence_has_one_state`, `every_missed_one_was_reported`; the rule
  `report_the_missed`.
- I8: `Mandate.tick`; `instants_never_decrease`, `instants_are_the_databases`; the rules of
  `rules/clocks.py`, and those that stop and start the executor.
- I9: `all_doors_agree`.
- I13: the rules of `rules/consents.py`, at the last second and after it; `consents_are_the_models`.
- I14: the rules of `rules/consents.py`; `what_was_shown_was_granted`.
- I15: the rule `edit_a_row`; `the_ledger_is_sound_and_sealed`.
- I16: `Mandate.hold`, `resume`, `cancel`; `World.judge` for the amount.
"""
