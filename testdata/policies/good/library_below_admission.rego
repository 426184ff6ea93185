package lib.more

x if data.lists.limits.hour == 1
