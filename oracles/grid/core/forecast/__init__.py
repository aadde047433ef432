"""The DSO's forecast of customers, plants and nodes: functions from past readings, calendar and weather to powers."""
