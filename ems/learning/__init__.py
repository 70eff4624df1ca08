"""When people use their appliances: learned, scored one day ahead, and searched.

``usage``              meters -> days: used or not, number of starts, starts by local hour
``calendar``           working days against weekends and the public holidays of a place
``pmf``                pure maths of distributions over the 24 local hours
``priors``             what is believed before the first day: uniform, learned, transfer
``habit``              what every habit model answers (``Habit``) and obeys (``HabitModel``)
``rate``               how fast habits are followed
``probability_model``  ``ProbabilityModelAgent``: the adaptive learning rate
``rivals``             fixed, all-history, forgetting and kernel models under the same interface
``scores``             one day ahead, before the update: bits, hours, calibration, intervals
``search``             many learning rates × many devices at once

In short::

    histories = use_histories(history)                  # {"dishwasher": UseHistory, ...}
    agent = ProbabilityModelAgent(device="dishwasher", place=history.place, prior=uniform())
    agent.train(histories["dishwasher"].before(day))
    habit = agent.predict(day)                          # hours (24,), use_probability, mean_starts
    agent.update(histories["dishwasher"].on(day))

The habit model learns from the people's own starts. On a day that the energy management shifted
(``DayUse.shifted``) it learns whether and how often the device was used, not at what hour.
"""
