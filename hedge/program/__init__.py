"""Program: which contracts to hold, by cuts; `master` is the only module that imports cvxpy."""
